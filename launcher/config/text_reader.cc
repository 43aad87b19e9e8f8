#include "launcher/config/text_reader.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "base/nearest_name.h"

namespace trestle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::io::ArrayInputStream;
using google::protobuf::io::Tokenizer;

// Messages inside one another beyond this are refused: the reader recurses.
constexpr int kMaxDepth = 100;

// What the tokenizer itself finds wrong: an open string, a control character.
class TokenErrors : public google::protobuf::io::ErrorCollector {
 public:
  TokenErrors(const TextReader::PlaceOf& place_of, Problems* problems)
      : place_of_(place_of), problems_(problems) {}
  void AddError(int line, int column, const std::string& message) override {
    problems_->AddUnclear(place_of_(line + 1, column + 1), "", message);
  }

 private:
  const TextReader::PlaceOf& place_of_;
  Problems* problems_;
};

}  // namespace

TextReader::TextReader(std::string_view text, PlaceOf place_of, FieldPlaces* places,
                       Problems* problems)
    : place_of_(std::move(place_of)), places_(places), problems_(problems) {
  TokenErrors errors(place_of_, problems_);
  ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  Tokenizer tokenizer(&stream, &errors);
  tokenizer.set_allow_f_after_float(true);
  tokenizer.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  while (tokenizer.Next()) tokens_.push_back(tokenizer.current());
  tokens_.push_back(tokenizer.current());
}

bool TextReader::AtEnd() const { return token().type == Tokenizer::TYPE_END; }

bool TextReader::IsSymbol(char symbol) const {
  return token().type == Tokenizer::TYPE_SYMBOL && token().text[0] == symbol;
}

void TextReader::Advance() {
  if (!AtEnd()) ++next_;
}

bool TextReader::Take(char symbol) {
  if (!IsSymbol(symbol)) return false;
  Advance();
  return true;
}

std::string TextReader::Found() const {
  if (AtEnd()) return "the end";
  return token().type == Tokenizer::TYPE_STRING ? "the string " + token().text
                                                : "\"" + token().text + "\"";
}

FieldPlace TextReader::PlaceOfToken(const Token& token) const {
  return place_of_(token.line + 1, token.column + 1);
}

void TextReader::Problem(const Token& token, const std::string& scope, const std::string& text) {
  problems_->AddUnclear(PlaceOfToken(token), scope, text);
}

void TextReader::ReadFields(Message* message, const std::string& path) {
  ReadBody(message, path, '\0', token());
}

void TextReader::ReadValue(Message* message, const Field* field, const std::string& path) {
  ReadValues(message, field, path);
  if (!AtEnd()) Problem(token(), path, path + ": unexpected " + Found() + " after the value");
}

// Fields up to and with the closing symbol; NUL: to the end of the text.
void TextReader::ReadBody(Message* message, const std::string& path, char closing,
                          const Token& opening) {
  while (!AtEnd()) {
    if (closing != '\0' && Take(closing)) return;
    if (closing == '\0' && (IsSymbol('}') || IsSymbol('>'))) {
      Problem(token(), path, "unexpected " + Found() + ": nothing is open here");
      Advance();
      continue;
    }
    ReadField(message, path);
    if (!Take(',')) Take(';');
  }
  if (closing == '\0') return;
  Problem(token(), path,
          std::string("expected \"") + closing + "\" to close " + path + ", opened in line " +
              std::to_string(opening.line + 1) + ", found the end");
}

void TextReader::ReadField(Message* message, const std::string& path) {
  const Token name = token();
  if (name.type != Tokenizer::TYPE_IDENTIFIER) {
    Problem(name, path,
            "expected the name of a field in " + (path.empty() ? "the config" : path) + ", found " +
                Found());
    const size_t before = next_;
    SkipValue();
    if (next_ == before) Advance();  // a bracket that closes nothing
    return;
  }
  Advance();
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name.text);
  const std::string field_path = MemberPath(path, name.text);
  if (!field) {
    Problem(name, path, UnknownFieldText(name.text, path, message->GetDescriptor()));
    const bool has_value = Take(':') || IsSymbol('{') || IsSymbol('<');
    if (has_value && !NextIsField()) SkipValue();
    return;
  }
  CheckOnce(*message, field, path, field_path, name);
  const bool colon = Take(':');
  if (!colon && !IsMessage(field)) {
    Problem(token(), path, field_path + ": expected \":\" after the name, found " + Found());
    if (AtEnd() || NextIsField() || IsSymbol('}') || IsSymbol('>')) return;
  }
  places_->Set(field_path, PlaceOfToken(name));
  ReadValues(message, field, field_path);
}

// A singular field is set once, and only one member of a oneof.
void TextReader::CheckOnce(const Message& message, const Field* field, const std::string& path,
                           const std::string& field_path, const Token& name) {
  if (field->is_repeated()) return;
  const auto line_of = [](FieldPlace place) { return std::to_string(place.line); };
  if (const FieldPlace first = places_->Exact(field_path); first.known()) {
    Problem(name, path, field_path + ": set twice, first in line " + line_of(first));
    return;
  }
  const auto* oneof = field->real_containing_oneof();
  if (!oneof) return;
  const FieldDescriptor* other = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (!other) return;
  Problem(name, path,
          field_path + ": only one of its kind may be set, and " + MemberPath(path, other->name()) +
              " is, in line " + line_of(places_->Exact(MemberPath(path, other->name()))));
}

// One value, or for a repeated field a list of them.
void TextReader::ReadValues(Message* message, const Field* field, const std::string& path) {
  if (IsSymbol('[')) {
    if (field->is_repeated()) {
      ReadList(message, field, path);
    } else {
      Problem(token(), path, path + ": takes one value, found a list");
      SkipValue();
    }
    return;
  }
  ReadOne(message, field, path, places_->Exact(path));
}

void TextReader::ReadList(Message* message, const Field* field, const std::string& path) {
  const Token opening = token();
  Advance();
  if (Take(']')) return;
  while (true) {
    if (AtEnd() || IsSymbol('}')) {
      Problem(token(), path,
              path + ": expected \"]\" to close the list of line " +
                  std::to_string(opening.line + 1) + ", found " + Found());
      return;
    }
    const size_t before = next_;
    ReadOne(message, field, path, PlaceOfToken(token()));
    if (Take(']')) return;
    if (Take(',') || AtEnd() || IsSymbol('}')) continue;
    if (next_ == before) {
      Advance();  // what cannot be a value has been told
    } else {
      Problem(token(), path, path + ": expected \",\" or \"]\", found " + Found());
    }
    if (NextIsField()) return;
  }
}

// `place` is the one a message is known by; a scalar is known by its own.
void TextReader::ReadOne(Message* message, const Field* field, const std::string& path,
                         FieldPlace place) {
  const Reflection* reflection = message->GetReflection();
  std::string one = path;
  if (field->is_repeated()) {
    one = EntryPath(path, reflection->FieldSize(*message, field));
  }
  if (!IsMessage(field)) {
    ReadScalar(message, field, one);
    return;
  }
  const Token opening = token();
  const char closing = Take('{') ? '}' : Take('<') ? '>' : '\0';
  if (closing == '\0') {
    Problem(opening, path, path + ": expected \"{\", found " + Found());
    if (!NextIsField() && !IsSymbol('}') && !IsSymbol('>')) SkipValue();
    return;
  }
  if (std::count(path.begin(), path.end(), '.') >= kMaxDepth) {
    Problem(opening, path, path + ": more than " + std::to_string(kMaxDepth) + " messages deep");
    next_ = tokens_.size() - 1;
    return;
  }
  places_->Set(one, place);
  Message* inside = field->is_repeated() ? reflection->AddMessage(message, field)
                                         : reflection->MutableMessage(message, field);
  ReadBody(inside, one, closing, opening);
}

void TextReader::ReadScalar(Message* message, const Field* field, const std::string& path) {
  const Token first = token();
  const bool negative = IsSymbol('-');
  const Token& value = negative ? token_after() : first;
  if (value.type == Tokenizer::TYPE_SYMBOL || value.type == Tokenizer::TYPE_END || NextIsField()) {
    Problem(first, path, path + ": expected " + ExpectedOf(field) + ", found " + Found());
    if (IsSymbol('{') || IsSymbol('<') || IsSymbol('[') || IsSymbol('-')) SkipValue();
    return;
  }
  const Scalar scalar = TakeScalar();
  const std::string wrong = StoreScalar(scalar, field, message);
  if (!wrong.empty()) Problem(first, path, path + ": " + wrong);
  places_->Set(path, PlaceOfToken(first));
}

// Whether what comes is a field's name and not a value: the value before it was forgotten.
bool TextReader::NextIsField() const {
  if (token().type != Tokenizer::TYPE_IDENTIFIER) return false;
  const Token& after = token_after();
  return after.type == Tokenizer::TYPE_SYMBOL && (after.text == ":" || after.text == "{");
}

Scalar TextReader::TakeScalar() {
  Scalar scalar;
  scalar.negative = Take('-');
  scalar.text = token().text;
  switch (token().type) {
    case Tokenizer::TYPE_INTEGER:
      scalar.kind = Scalar::Kind::kInteger;
      break;
    case Tokenizer::TYPE_FLOAT:
      scalar.kind = Scalar::Kind::kFloat;
      break;
    case Tokenizer::TYPE_STRING:
      scalar.kind = Scalar::Kind::kString;
      scalar.text.clear();
      for (; token().type == Tokenizer::TYPE_STRING; Advance()) {  // neighbours are one string
        Tokenizer::ParseStringAppend(token().text, &scalar.text);
      }
      return scalar;
    default:
      scalar.kind = Scalar::Kind::kName;
  }
  Advance();
  return scalar;
}

// Skips a value of any kind, with what its brackets hold.
void TextReader::SkipValue() {
  int depth = 0;
  Take('-');
  do {
    if (IsSymbol('{') || IsSymbol('<') || IsSymbol('[')) ++depth;
    if (IsSymbol('}') || IsSymbol('>') || IsSymbol(']')) --depth;
    if (depth < 0) return;  // closes what is around the value
    const bool string = token().type == Tokenizer::TYPE_STRING;
    Advance();
    while (string && token().type == Tokenizer::TYPE_STRING) Advance();
  } while (depth > 0 && !AtEnd());
}

}  // namespace trestle
