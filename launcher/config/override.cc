#include "launcher/config/override.h"

#include <google/protobuf/descriptor.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "base/nearest_name.h"
#include "launcher/config/scalar.h"
#include "launcher/config/text_reader.h"

namespace trestle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct Segment {
  std::string name;
  std::optional<std::string> entry;  // what stands in brackets
};

struct Target {
  Message* message = nullptr;  // holds the field
  const FieldDescriptor* field = nullptr;
  std::string path;  // of the field, with indices
};

// "tables[cate_id].dim" -> {tables, cate_id}, {dim}. Empty when it is not a path.
std::vector<Segment> ParsePath(std::string_view path) {
  std::vector<Segment> segments;
  size_t at = 0;
  while (true) {
    const size_t end = std::min(path.find_first_of(".[", at), path.size());
    Segment segment{std::string(path.substr(at, end - at)), std::nullopt};
    if (segment.name.empty()) return {};
    at = end;
    if (at < path.size() && path[at] == '[') {
      const size_t close = path.find(']', at);
      if (close == std::string_view::npos || close == at + 1) return {};
      segment.entry = std::string(path.substr(at + 1, close - at - 1));
      at = close + 1;
    }
    segments.push_back(std::move(segment));
    if (at == path.size()) return segments;
    if (path[at] != '.') return {};
    ++at;
  }
}

std::string Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
}

std::string Quote(const std::string& text) {
  const bool quoted = !text.empty() && (text[0] == '"' || text[0] == '\'');
  if (quoted) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// A shell is no place for quotes: x -> "x", [x, y] -> ["x", "y"]. Quoted ones stay.
std::string QuoteBareStrings(const std::string& value) {
  if (value.empty() || value.front() != '[' || value.back() != ']') return Quote(value);
  const std::string inside = Trim(std::string_view(value).substr(1, value.size() - 2));
  if (inside.empty()) return "[]";
  std::string out = "[";
  char open_quote = '\0';
  size_t begin = 0;
  for (size_t i = 0; i <= inside.size(); ++i) {
    const char c = i < inside.size() ? inside[i] : ',';
    if (open_quote != '\0' && i < inside.size()) {
      if (c == open_quote) open_quote = '\0';
    } else if (c == '"' || c == '\'') {
      open_quote = c;
    } else if (c == ',') {
      out += (begin == 0 ? "" : ", ") + Quote(Trim(inside.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  return out + "]";
}

const FieldDescriptor* NameField(const FieldDescriptor* field) {
  const FieldDescriptor* name = field->message_type()->FindFieldByName("name");
  return name && name->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? name : nullptr;
}

class Override {
 public:
  Override(int index, Message* config, FieldPlaces* places, Problems* problems)
      : place_{0, 0, index}, config_(config), places_(places), problems_(problems) {}

  void Apply(const std::string& text) {
    const size_t equals = FindEquals(text);
    if (equals == std::string::npos) return Problem("expected PATH=VALUE");
    const std::string path = Trim(std::string_view(text).substr(0, equals));
    const std::vector<Segment> segments = ParsePath(path);
    if (segments.empty()) {
      return Problem("\"" + path + "\" is not a path like batch.rows or tables[NAME].dim");
    }
    std::optional<Target> target = Resolve(segments);
    if (!target) return;
    Assign(*target, segments.back(), Trim(std::string_view(text).substr(equals + 1)));
  }

 private:
  void Problem(const std::string& text) { problems_->Add(place_, text); }

  // The first '=' outside brackets: a name may hold one.
  static size_t FindEquals(const std::string& text) {
    bool inside = false;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '[') inside = true;
      if (text[i] == ']') inside = false;
      if (text[i] == '=' && !inside) return i;
    }
    return std::string::npos;
  }

  // Walks to the message that holds the last segment's field, creating what is on the way.
  std::optional<Target> Resolve(const std::vector<Segment>& segments) {
    Target target{config_, nullptr, ""};
    for (size_t i = 0; i < segments.size(); ++i) {
      const Segment& segment = segments[i];
      const auto* type = target.message->GetDescriptor();
      target.field = type->FindFieldByName(segment.name);
      if (!target.field) {
        Problem(UnknownFieldText(segment.name, target.path, type));
        return std::nullopt;
      }
      target.path = MemberPath(target.path, segment.name);
      if (i + 1 == segments.size()) return target;
      if (target.field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        Problem(target.path + " is " + ExpectedOf(target.field) + " and holds no \"" +
                segments[i + 1].name + "\"");
        return std::nullopt;
      }
      Message* inside = Enter(&target, segment);
      if (!inside) return std::nullopt;
      if (!places_->Exact(target.path).known()) places_->Set(target.path, place_);
      target.message = inside;
    }
    return std::nullopt;
  }

  // The message of a field or of one of its entries; extends the target's path to it.
  Message* Enter(Target* target, const Segment& segment) {
    const Reflection* reflection = target->message->GetReflection();
    if (!target->field->is_repeated()) {
      if (!segment.entry) return reflection->MutableMessage(target->message, target->field);
      Problem(target->path + " is one message, not a list: write " + target->path);
      return nullptr;
    }
    const FieldDescriptor* name = NameField(target->field);
    if (!segment.entry) {
      Problem(target->path + " is a list: say which of it, " + target->path +
              (name ? "[NAME]" : "[0]"));
      return nullptr;
    }
    return name ? EnterByName(target, name, *segment.entry) : EnterByIndex(target, *segment.entry);
  }

  Message* EnterByName(Target* target, const FieldDescriptor* name, const std::string& entry) {
    const Reflection* reflection = target->message->GetReflection();
    const int count = reflection->FieldSize(*target->message, target->field);
    Message* found = nullptr;
    int index = 0;
    for (; index < count && !found; ++index) {
      Message* one = reflection->MutableRepeatedMessage(target->message, target->field, index);
      if (one->GetReflection()->GetString(*one, name) == entry) found = one;
    }
    if (!found) {
      found = reflection->AddMessage(target->message, target->field);
      found->GetReflection()->SetString(found, name, entry);
      ++index;
    }
    target->path = EntryPath(target->path, index - 1);
    return found;
  }

  Message* EnterByIndex(Target* target, const std::string& entry) {
    const Reflection* reflection = target->message->GetReflection();
    const int count = reflection->FieldSize(*target->message, target->field);
    int index = -1;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), index);
    if (error != std::errc() || end != entry.data() + entry.size() || index < 0 || index >= count) {
      Problem(target->path + "[" + entry + "]: no such entry; " +
              (count == 0 ? "there is none" : "allowed: 0 to " + std::to_string(count - 1)));
      return nullptr;
    }
    target->path = EntryPath(target->path, index);
    return reflection->MutableRepeatedMessage(target->message, target->field, index);
  }

  void Assign(Target target, const Segment& last, std::string value) {
    const FieldDescriptor* field = target.field;
    const bool message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (last.entry && message) return AssignEntry(target, last, value);
    if (last.entry) {
      return Problem(target.path + ": set it whole, " + target.path +
                     (field->is_repeated() ? "=[...]" : "=..."));
    }
    target.message->GetReflection()->ClearField(target.message, field);
    places_->Erase(target.path);
    places_->Set(target.path, place_);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) value = QuoteBareStrings(value);
    Reader(value).ReadValue(target.message, field, target.path);
  }

  // tables[brand]={ dim: 8 }
  void AssignEntry(Target target, const Segment& last, const std::string& value) {
    Message* entry = Enter(&target, last);
    if (!entry) return;
    if (value.size() < 2 || value.front() != '{' || value.back() != '}') {
      return Problem(target.path + ": expected { ... }, found \"" + value + "\"");
    }
    const FieldDescriptor* name = NameField(target.field);
    entry->Clear();
    places_->Erase(target.path);
    places_->Set(target.path, place_);
    Reader(value.substr(1, value.size() - 2)).ReadFields(entry, target.path);
    if (name) entry->GetReflection()->SetString(entry, name, *last.entry);
  }

  TextReader Reader(const std::string& value) {
    const FieldPlace place = place_;
    return {value, [place](int, int) { return place; }, places_, problems_};
  }

  FieldPlace place_;
  Message* config_;
  FieldPlaces* places_;
  Problems* problems_;
};

}  // namespace

void ApplyOverride(const std::string& text, int index, Message* config, FieldPlaces* places,
                   Problems* problems) {
  Override(index, config, places, problems).Apply(text);
}

}  // namespace trestle
