#include "ps/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "ps/checkpoint/hashed_file.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Manifest SmallManifest() {
  Manifest manifest;
  manifest.set_format(kCheckpointFormat);
  manifest.set_name("step-00000001.1");
  manifest.mutable_cursor()->set_step(1);
  return manifest;
}

// Any values in every field, through what protobuf knows of the message.
void FillRandomly(std::mt19937_64& random, google::protobuf::Message* message);

template <class SetOrAdd>
void FillOnce(std::mt19937_64& random, const google::protobuf::FieldDescriptor& field,
              const SetOrAdd& set) {
  using Field = google::protobuf::FieldDescriptor;
  const uint64_t bits = random() >> (random() % 64);
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32:
      return set(static_cast<int32_t>(bits));
    case Field::CPPTYPE_INT64:
      return set(static_cast<int64_t>(bits));
    case Field::CPPTYPE_UINT32:
      return set(static_cast<uint32_t>(bits));
    case Field::CPPTYPE_UINT64:
      return set(bits);
    case Field::CPPTYPE_BOOL:
      return set(bits % 2 == 0);
    case Field::CPPTYPE_DOUBLE: {
      const double value = std::bit_cast<double>(random());
      return set(std::isnan(value) ? 0.1 : value);
    }
    case Field::CPPTYPE_STRING:
      return set(std::string("a\"\\\n\t\x01</é") + std::to_string(bits));
    default:
      FAIL() << "a type of field that this test does not know: " << field.full_name();
  }
}

struct Setter {
  google::protobuf::Message* message;
  const google::protobuf::FieldDescriptor* field;

  template <class T>
  void operator()(const T& value) const {
    const auto* r = message->GetReflection();
    const bool list = field->is_repeated();
    if constexpr (std::is_same_v<T, int32_t>) {
      list ? r->AddInt32(message, field, value) : r->SetInt32(message, field, value);
    } else if constexpr (std::is_same_v<T, int64_t>) {
      list ? r->AddInt64(message, field, value) : r->SetInt64(message, field, value);
    } else if constexpr (std::is_same_v<T, uint32_t>) {
      list ? r->AddUInt32(message, field, value) : r->SetUInt32(message, field, value);
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      list ? r->AddUInt64(message, field, value) : r->SetUInt64(message, field, value);
    } else if constexpr (std::is_same_v<T, bool>) {
      list ? r->AddBool(message, field, value) : r->SetBool(message, field, value);
    } else if constexpr (std::is_same_v<T, double>) {
      list ? r->AddDouble(message, field, value) : r->SetDouble(message, field, value);
    } else {
      list ? r->AddString(message, field, value) : r->SetString(message, field, value);
    }
  }
};

void FillRandomly(std::mt19937_64& random, google::protobuf::Message* message) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const auto* field = message->GetDescriptor()->field(i);
    const int times = field->is_repeated() ? static_cast<int>(random() % 4) : 1;
    for (int n = 0; n < times; ++n) {
      if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
        FillRandomly(random, field->is_repeated() ? reflection->AddMessage(message, field)
                                                  : reflection->MutableMessage(message, field));
      } else {
        FillOnce(random, *field, Setter{message, field});
      }
    }
  }
}

Manifest RandomManifest(uint64_t seed) {
  std::mt19937_64 random(seed);
  Manifest manifest;
  FillRandomly(random, &manifest);
  manifest.set_format(kCheckpointFormat);
  for (FileEntry& file : *manifest.mutable_files()) file.set_name("embedding/file");
  return manifest;
}

// The text with another seal, one that fits what a test changed.
std::string Resealed(std::string text) {
  const size_t at = text.size() - std::string("00000000000000000000000000000000\"\n}\n").size();
  text.replace(at, 32, 32, '0');
  return text.replace(at, 32, Hash128(text));
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Manifest, EveryFieldSurvives) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Manifest manifest = RandomManifest(seed);
    const std::string text = ManifestText(manifest);
    const auto parsed = ParseManifest("MANIFEST.json", text);
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    EXPECT_EQ(parsed->SerializeAsString(), manifest.SerializeAsString());
    EXPECT_EQ(ManifestText(*parsed), text) << "the same bytes for the same message";
  }
}

TEST(Manifest, NumbersSurviveAtTheirLimits) {
  Manifest manifest = SmallManifest();
  for (const double value : {0.1, -0.0, 5e-324, std::numeric_limits<double>::max(), 1.0 / 3,
                             -std::numeric_limits<double>::infinity(), 123456789012345678.0}) {
    manifest.mutable_cursor()->set_loss_sum(value);
    const auto parsed = ParseManifest("m", ManifestText(manifest));
    ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
    EXPECT_EQ(std::bit_cast<uint64_t>(parsed->cursor().loss_sum()), std::bit_cast<uint64_t>(value));
  }
  manifest.mutable_cursor()->set_loss_sum(std::nan(""));
  EXPECT_TRUE(std::isnan(ParseManifest("m", ManifestText(manifest))->cursor().loss_sum()));
}

TEST(Manifest, IsJsonThatBeginsWithItsFormatAndEndsWithItsSeal) {
  const std::string text = ManifestText(SmallManifest());
  EXPECT_THAT(text, StartsWith("{\n \"format\": 1,\n \"name\": \"step-00000001.1\",\n"));
  EXPECT_THAT(text, HasSubstr(" \"cursor\": {\n  \"step\": \"1\"\n },\n \"checksum\": \""));
  EXPECT_THAT(text, EndsWith("\"\n}\n"));
}

TEST(Manifest, CutOrChangedAtAnyByteIsRefused) {
  const std::string text = ManifestText(RandomManifest(1));
  for (size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] ^= static_cast<char>(1 << at % 8);
    for (const std::string& broken : {text.substr(0, at), changed}) {
      const Status status = ParseManifest("x/MANIFEST.json", broken).status();
      ASSERT_EQ(status.code(), StatusCode::kCorrupt) << at;
      ASSERT_THAT(status.ToString(), StartsWith("x/MANIFEST.json: ")) << at;
    }
  }
}

TEST(Manifest, OtherFormatsAreRefusedByNumber) {
  Manifest manifest = SmallManifest();
  manifest.set_format(2);
  EXPECT_EQ(ParseManifest("m", ManifestText(manifest)).status().ToString(),
            "m: format 2, this program reads format 1; use the program that wrote it");
  // Also where the other format has fields that this program does not know.
  const std::string text = ManifestText(manifest);
  EXPECT_EQ(
      ParseManifest("m", Resealed(Replaced(text, "\"name\"", "\"title\""))).status().ToString(),
      "m: format 2, this program reads format 1; use the program that wrote it");
  manifest.clear_format();
  EXPECT_THAT(ParseManifest("m", ManifestText(manifest)).status().ToString(),
              HasSubstr("format none"));
  EXPECT_THAT(ParseManifest("m", ManifestText(Manifest())).status().ToString(),
              HasSubstr("format none"));
}

TEST(Manifest, UnknownFieldsAndValuesOfOtherTypesAreRefused) {
  const std::string text = ManifestText(SmallManifest());
  for (const auto& [from, to] : {std::pair("\"name\"", "\"title\""), std::pair("\"1\"", "\"one\""),
                                 std::pair("\"1\"", "[]"), std::pair("\"cursor\"", "cursor")}) {
    const Status status = ParseManifest("m", Resealed(Replaced(text, from, to))).status();
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << to;
    EXPECT_THAT(status.ToString(), StartsWith("m: ")) << to;
  }
}

TEST(Manifest, NamesOfFilesStayInTheFolder) {
  for (const std::string name : {"", "/etc/passwd", "../other", "embedding/../../x", "./x"}) {
    Manifest manifest = SmallManifest();
    manifest.add_files()->set_name(name);
    EXPECT_THAT(ParseManifest("m", ManifestText(manifest)).status().ToString(),
                HasSubstr("is no name of a file"))
        << name;
  }
}

TEST(Manifest, IsWrittenAtomically) {
  const Manifest manifest = SmallManifest();
  bool failed = true;
  for (int64_t call = 1; failed; ++call) {
    TempDir dir;
    const std::string folder = dir.Join(manifest.name());
    ASSERT_TRUE(FileSystem::Local().MakeDirectories(folder).ok());
    FaultFileSystem fs(FileSystem::Local(), {.fail_call = call, .short_write = 10});
    const Status status = WriteManifest(fs, folder, manifest);
    failed = fs.calls() >= call;
    EXPECT_EQ(status.ok(), !failed);
    const auto read = ReadManifest(FileSystem::Local(), folder);
    if (!read.ok()) {
      EXPECT_EQ(read.status().code(), StatusCode::kNotFound) << read.status().ToString();
      EXPECT_THAT(read.status().ToString(), HasSubstr(folder));
    } else {
      EXPECT_EQ(read->SerializeAsString(), manifest.SerializeAsString());
    }
    EXPECT_TRUE(read.ok() || failed);
  }
}

TEST(Manifest, HashIsOfTheFile) {
  TempDir dir;
  const std::string folder = dir.Join("step-00000001.1");
  ASSERT_TRUE(FileSystem::Local().MakeDirectories(folder).ok());
  ASSERT_TRUE(WriteManifest(FileSystem::Local(), folder, SmallManifest()).ok());
  EXPECT_EQ(ManifestHash(FileSystem::Local(), folder).value(),
            Hash128(ManifestText(SmallManifest())));
}

TEST(Manifest, WhatWouldNotReadBackIsNotWritten) {
  TempDir dir;
  const std::string folder = dir.Join("step-00000001.1");
  ASSERT_TRUE(FileSystem::Local().MakeDirectories(folder).ok());
  Manifest manifest = SmallManifest();
  manifest.add_files()->set_name("../x");
  const Status status = WriteManifest(FileSystem::Local(), folder, manifest);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_TRUE(FileSystem::Local().List(folder)->empty());
}

TEST(ModelDigest, IsOfTablesInOrderAndTheNetwork) {
  Manifest manifest;
  for (const auto& [name, digest] : {std::pair("item", 0x1234ull), std::pair("brand", ~0ull)}) {
    manifest.add_tables()->set_name(name);
    manifest.mutable_tables()->rbegin()->set_digest(digest);
  }
  manifest.set_dense_digest(7);
  EXPECT_EQ(ModelDigest(manifest),
            Hex(Hash64("item=0000000000001234;brand=ffffffffffffffff;dense=0000000000000007")));
}

}  // namespace
}  // namespace trestle
