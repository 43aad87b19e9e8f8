#include "launcher/config/scalar.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>

#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "base/nearest_name.h"
#include "launcher/config/places.h"

namespace trestle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::io::Tokenizer;

// More names than this are not listed in an error.
constexpr int kMaxListedNames = 16;

// The setter of Reflection for one C++ type, singular or repeated.
template <class T>
using Setter = void (Reflection::*)(Message*, const FieldDescriptor*, T) const;

template <class T, class V>
void SetOrAdd(Message* message, const FieldDescriptor* field, Setter<T> set, Setter<T> add,
              V&& value) {
  const Reflection* reflection = message->GetReflection();
  (reflection->*(field->is_repeated() ? add : set))(message, field, std::forward<V>(value));
}

std::string Mismatch(const Scalar& scalar, const FieldDescriptor* field) {
  std::string text = "expected " + ExpectedOf(field) + ", found " + scalar.Shown();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && scalar.kind == Scalar::Kind::kName) {
    text += "; write it in quotes: \"" + scalar.text + "\"";
  }
  return text;
}

// The integer when it is one within [-max - 1, max], or [0, max] without a sign.
std::string StoreInteger(const Scalar& scalar, const FieldDescriptor* field, Message* message) {
  if (scalar.kind != Scalar::Kind::kInteger) return Mismatch(scalar, field);
  const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                    field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const bool is_signed = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                         field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  const uint64_t all_ones =
      wide ? std::numeric_limits<uint64_t>::max() : std::numeric_limits<uint32_t>::max();
  const uint64_t largest = is_signed ? all_ones >> 1 : all_ones;
  const uint64_t limit = !scalar.negative ? largest : is_signed ? largest + 1 : 0;
  uint64_t magnitude = 0;
  if (!Tokenizer::ParseInteger(scalar.text, limit, &magnitude)) {
    std::string text = scalar.Shown() + " does not fit; allowed: ";
    if (is_signed) text.append("-").append(std::to_string(largest + 1));
    return text.append(is_signed ? " to " : "0 to ").append(std::to_string(largest));
  }
  const int64_t value = static_cast<int64_t>(scalar.negative ? ~magnitude + 1 : magnitude);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      SetOrAdd<int32_t>(message, field, &Reflection::SetInt32, &Reflection::AddInt32,
                        static_cast<int32_t>(value));
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      SetOrAdd<int64_t>(message, field, &Reflection::SetInt64, &Reflection::AddInt64, value);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      SetOrAdd<uint32_t>(message, field, &Reflection::SetUInt32, &Reflection::AddUInt32,
                         static_cast<uint32_t>(magnitude));
      break;
    default:
      SetOrAdd<uint64_t>(message, field, &Reflection::SetUInt64, &Reflection::AddUInt64, magnitude);
  }
  return {};
}

std::string StoreNumber(const Scalar& scalar, const FieldDescriptor* field, Message* message) {
  const bool number = scalar.kind == Scalar::Kind::kFloat || scalar.kind == Scalar::Kind::kInteger;
  if (!number) return Mismatch(scalar, field);
  // 015 and 0x1f are integers; who writes 015 for a rate does not mean 13.
  const bool decimal = scalar.kind == Scalar::Kind::kFloat || scalar.text.size() == 1 ||
                       scalar.text.front() != '0';
  if (!decimal) return Mismatch(scalar, field);
  uint64_t integer = 0;
  const bool whole = scalar.kind == Scalar::Kind::kInteger &&
                     Tokenizer::ParseInteger(scalar.text, ~uint64_t{0}, &integer);
  const double magnitude =
      whole ? static_cast<double>(integer) : Tokenizer::ParseFloat(scalar.text);
  const double value = scalar.negative ? -magnitude : magnitude;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    if (!std::isfinite(value)) return scalar.Shown() + " is too large";
    SetOrAdd<double>(message, field, &Reflection::SetDouble, &Reflection::AddDouble, value);
    return {};
  }
  if (std::fabs(value) > std::numeric_limits<float>::max()) return scalar.Shown() + " is too large";
  SetOrAdd<float>(message, field, &Reflection::SetFloat, &Reflection::AddFloat,
                  static_cast<float>(value));
  return {};
}

std::string StoreBool(const Scalar& scalar, const FieldDescriptor* field, Message* message) {
  std::optional<bool> value;
  if (scalar.kind != Scalar::Kind::kString && !scalar.negative) {
    if (scalar.text == "true" || scalar.text == "True" || scalar.text == "1") value = true;
    if (scalar.text == "false" || scalar.text == "False" || scalar.text == "0") value = false;
  }
  if (!value) return Mismatch(scalar, field);
  SetOrAdd<bool>(message, field, &Reflection::SetBool, &Reflection::AddBool, *value);
  return {};
}

std::string StoreEnum(const Scalar& scalar, const FieldDescriptor* field, Message* message) {
  const EnumDescriptor* type = field->enum_type();
  const auto* value =
      scalar.kind == Scalar::Kind::kName ? type->FindValueByName(scalar.text) : nullptr;
  if (!value) {
    const std::vector<std::string> names = ValueNames(type);
    std::string text = "expected " + ExpectedOf(field) + ", found " + scalar.Shown();
    const std::string nearest = NearestName(scalar.text, names);
    if (!nearest.empty()) text.append("; did you mean ").append(nearest).append("?");
    return text;
  }
  const Reflection* reflection = message->GetReflection();
  if (field->is_repeated()) {
    reflection->AddEnum(message, field, value);
  } else {
    reflection->SetEnum(message, field, value);
  }
  return {};
}

// Paths of the messages that have a field of that name, without those below repeated ones' lists.
void FindField(const std::string& name, const std::string& path, const Descriptor* type,
               std::set<const Descriptor*>* seen, std::vector<std::string>* found) {
  if (!seen->insert(type).second) return;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string inside = MemberPath(path, field->name());
    if (field->message_type()->FindFieldByName(name)) found->push_back(inside);
    FindField(name, inside, field->message_type(), seen, found);
  }
}

}  // namespace

std::string Scalar::Shown() const {
  const std::string sign = negative ? "-" : "";
  return sign + (kind == Kind::kString ? "\"" + text + "\"" : text);
}

std::string ExpectedOf(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
      return "an integer";
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "an integer of at least 0";
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a string in quotes";
    case FieldDescriptor::CPPTYPE_ENUM:
      return "one of " + JoinNames(ValueNames(field->enum_type()));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "{ ... }";
  }
  return "a value";
}

std::string StoreScalar(const Scalar& scalar, const FieldDescriptor* field, Message* message) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return StoreInteger(scalar, field, message);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return StoreNumber(scalar, field, message);
    case FieldDescriptor::CPPTYPE_BOOL:
      return StoreBool(scalar, field, message);
    case FieldDescriptor::CPPTYPE_ENUM:
      return StoreEnum(scalar, field, message);
    case FieldDescriptor::CPPTYPE_STRING:
      if (scalar.kind != Scalar::Kind::kString || scalar.negative) return Mismatch(scalar, field);
      SetOrAdd<std::string>(message, field, &Reflection::SetString, &Reflection::AddString,
                            scalar.text);
      return {};
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return Mismatch(scalar, field);
}

std::vector<std::string> FieldNames(const Descriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->name());
  return names;
}

std::vector<std::string> ValueNames(const EnumDescriptor* type) {
  std::vector<std::string> names;
  for (int i = 0; i < type->value_count(); ++i) names.push_back(type->value(i)->name());
  return names;
}

std::string UnknownFieldText(const std::string& name, const std::string& scope,
                             const Descriptor* type) {
  const std::string where = scope.empty() ? "the config" : scope;
  const std::vector<std::string> names = FieldNames(type);
  std::string text = "unknown field \"" + name + "\" in " + where;
  std::vector<std::string> elsewhere;
  if (scope.empty() && NearestName(name, names).empty()) {
    std::set<const Descriptor*> seen;
    FindField(name, "", type, &seen, &elsewhere);
  }
  if (elsewhere.empty()) {
    text += Suggestion(name, names);
  } else {
    text += "; there is one in " + JoinNames(elsewhere) + ". ";
  }
  if (names.empty()) return text + where + " has no fields";
  if (names.size() > kMaxListedNames) return text + "See `trestle config docs`";
  return text + "Fields of " + where + ": " + JoinNames(names);
}

}  // namespace trestle
