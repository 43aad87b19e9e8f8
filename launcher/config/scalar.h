// One scalar of a config as it is written, and how it becomes the value of a field.
//
// Thread safety: pure functions.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace trestle {

struct Scalar {
  enum class Kind { kInteger, kFloat, kString, kName };
  Kind kind = Kind::kName;
  std::string text;  // as written, without the sign; of a string what it stands for
  bool negative = false;
  // As a message shows it: -3, "clk", SHUFFLE.
  [[nodiscard]] std::string Shown() const;
};

// Sets a singular field or adds to a repeated one. Returns what is wrong ("expected an integer,
// found \"many\""), empty when nothing is; the message is then unchanged. Not for message fields.
[[nodiscard]] std::string StoreScalar(const Scalar& scalar,
                                      const google::protobuf::FieldDescriptor* field,
                                      google::protobuf::Message* message);

[[nodiscard]] inline bool IsMessage(const google::protobuf::FieldDescriptor* field) {
  return field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
}

// "an integer", "one of SHUFFLE, TIME": what a field takes.
[[nodiscard]] std::string ExpectedOf(const google::protobuf::FieldDescriptor* field);

// Names of the fields of a message, and of the values of an enum.
[[nodiscard]] std::vector<std::string> FieldNames(const google::protobuf::Descriptor* type);
[[nodiscard]] std::vector<std::string> ValueNames(const google::protobuf::EnumDescriptor* type);

// `unknown field "epoch" in train; did you mean "epochs"? Fields of train: epochs, seed`. `scope`
// is the path of the message, empty for the config itself, whose messages are searched for the name
// too.
[[nodiscard]] std::string UnknownFieldText(const std::string& name, const std::string& scope,
                                           const google::protobuf::Descriptor* type);

}  // namespace trestle
