// The reader of configs against the protobuf library's, on random configs and on damaged ones.
#include "launcher/config/text_reader.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>

#include "launcher/config.pb.h"

namespace trestle {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

class Random {
 public:
  explicit Random(uint64_t seed) : generator_(seed) {}
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(generator_); }
  uint64_t Bits() { return generator_(); }

  std::string Text() {
    std::string text;
    for (int i = Below(6); i > 0; --i) text += "ab\"'\\\n\t#{}é"[Below(12)];
    return text;
  }

 private:
  std::mt19937_64 generator_;
};

void SetRandomly(Random& random, const FieldDescriptor* field, Message* message);

void FillRandomly(Random& random, Message* message, int depth) {
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (random.Below(3) == 0) continue;
    const Reflection* reflection = message->GetReflection();
    const int count = field->is_repeated() ? random.Below(4) : 1;
    for (int n = 0; n < count; ++n) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        SetRandomly(random, field, message);
      } else if (depth < 6) {
        FillRandomly(random,
                     field->is_repeated() ? reflection->AddMessage(message, field)
                                          : reflection->MutableMessage(message, field),
                     depth + 1);
      }
    }
  }
}

void SetRandomly(Random& random, const FieldDescriptor* field, Message* message) {
  const Reflection* r = message->GetReflection();
  const bool list = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto value = static_cast<int32_t>(random.Bits());
      list ? r->AddInt32(message, field, value) : r->SetInt32(message, field, value);
      break;
    }
    case FieldDescriptor::CPPTYPE_INT64:
      r->SetInt64(message, field, static_cast<int64_t>(random.Bits()));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      r->SetUInt64(message, field, random.Bits());
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
      r->SetFloat(message, field, static_cast<float>(random.Below(2000) - 1000) * 0.37e-3f);
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value = (random.Below(2000) - 1000) * 1.37e20;
      list ? r->AddDouble(message, field, value) : r->SetDouble(message, field, value);
      break;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      r->SetBool(message, field, random.Below(2) == 0);
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      r->SetEnum(message, field,
                 field->enum_type()->value(random.Below(field->enum_type()->value_count())));
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      list ? r->AddString(message, field, random.Text())
           : r->SetString(message, field, random.Text());
      break;
    default:
      FAIL() << "a type that configs did not have: " << field->full_name();
  }
}

Status Read(const std::string& text, Config* config) {
  FieldPlaces places;
  Problems problems;
  TextReader reader(
      text,
      [](int line, int column) {
        return FieldPlace{line, column, -1};
      },
      &places, &problems);
  reader.ReadFields(config, "");
  return problems.ToStatus("file", {});
}

TEST(TextReader, AgreesWithTheLibraryOnRandomConfigs) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Config written, read, reference;
    FillRandomly(random, &written, 0);
    TextFormat::Printer printer;
    printer.SetSingleLineMode(random.Below(2) == 0);
    printer.SetUseShortRepeatedPrimitives(random.Below(2) == 0);
    printer.SetUseUtf8StringEscaping(random.Below(2) == 0);
    std::string text;
    ASSERT_TRUE(printer.PrintToString(written, &text));
    const Status status = Read(text, &read);
    ASSERT_TRUE(status.ok()) << status.ToString() << "\n" << text;
    ASSERT_TRUE(TextFormat::ParseFromString(text, &reference));
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read, reference)) << text;
  }
}

// No edit of a config's text ends the reader, and what the library refuses is never accepted.
TEST(TextReader, FindsAMistakeWhereverTheLibraryDoes) {
  class Silence : public google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } silence;
  TextFormat::Parser library;
  library.RecordErrorsTo(&silence);
  int refused = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    Config written;
    FillRandomly(random, &written, 0);
    std::string text;
    TextFormat::PrintToString(written, &text);
    for (int edits = 1 + random.Below(3); edits > 0 && !text.empty(); --edits) {
      const size_t at = random.Below(static_cast<int>(text.size()));
      switch (random.Below(3)) {
        case 0:
          text.erase(at, 1 + random.Below(5));
          break;
        case 1:
          text.insert(at, 1, "{}[]<>:,;-\"'#a1 \n"[random.Below(17)]);
          break;
        default:
          text = text.substr(0, at);
      }
    }
    Config read, reference;
    const bool accepted = library.ParseFromString(text, &reference);
    refused += accepted ? 0 : 1;
    const Status status = Read(text, &read);
    if (!accepted) {
      EXPECT_FALSE(status.ok()) << "seed " << seed << "\n" << text;
    }
    if (accepted && status.ok()) {
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read, reference))
          << "seed " << seed << "\n"
          << text;
    }
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace trestle
