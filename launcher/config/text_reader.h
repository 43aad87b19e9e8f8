// TextReader: protobuf text to a message, going on after each mistake so that all are found. (The
// library's own parser stops at the first one, and places an unknown field at the token after it.)
//
// It reads the text format as the library does, except that a number must be finite and that there
// are no extensions and no `Any`. Tests compare the two on random configs.
//
// Thread safety: one thread. Ownership: borrows all it is given.
// Errors: in Problems; what could be understood is stored.
// Source: protobuf.dev, "Text Format Language Specification".
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "launcher/config/places.h"
#include "launcher/config/problems.h"
#include "launcher/config/scalar.h"

namespace trestle {

class TextReader {
 public:
  // The place that stands for a token's: a file's line and column, or always the same --set.
  using PlaceOf = std::function<FieldPlace(int line, int column)>;

  TextReader(std::string_view text, PlaceOf place_of, FieldPlaces* places, Problems* problems);

  // The whole text as the fields of a message whose path is `path`.
  void ReadFields(google::protobuf::Message* message, const std::string& path);

  // The whole text as the value of one field: what may follow its name and colon.
  void ReadValue(google::protobuf::Message* message, const google::protobuf::FieldDescriptor* field,
                 const std::string& path);

 private:
  using Token = google::protobuf::io::Tokenizer::Token;
  using Field = google::protobuf::FieldDescriptor;
  using Message = google::protobuf::Message;

  const Token& token() const { return tokens_[next_]; }
  const Token& token_after() const { return tokens_[std::min(next_ + 1, tokens_.size() - 1)]; }
  bool AtEnd() const;
  bool IsSymbol(char symbol) const;
  bool Take(char symbol);
  void Advance();
  std::string Found() const;
  FieldPlace PlaceOfToken(const Token& token) const;
  void Problem(const Token& token, const std::string& scope, const std::string& text);

  void ReadBody(Message* message, const std::string& path, char closing, const Token& opening);
  void ReadField(Message* message, const std::string& path);
  void CheckOnce(const Message& message, const Field* field, const std::string& path,
                 const std::string& name_path, const Token& name);
  void ReadValues(Message* message, const Field* field, const std::string& path);
  void ReadList(Message* message, const Field* field, const std::string& path);
  void ReadOne(Message* message, const Field* field, const std::string& path, FieldPlace place);
  void ReadScalar(Message* message, const Field* field, const std::string& path);
  bool NextIsField() const;
  Scalar TakeScalar();
  void SkipValue();

  PlaceOf place_of_;
  FieldPlaces* places_;
  Problems* problems_;
  std::vector<Token> tokens_;  // ends with one of TYPE_END
  size_t next_ = 0;
};

}  // namespace trestle
