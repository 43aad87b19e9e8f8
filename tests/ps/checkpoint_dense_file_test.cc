#include "ps/checkpoint/dense_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>

#include "ps/checkpoint/hashed_file.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

NamedTensor RandomTensor(std::mt19937_64& random, const std::string& name, int rows, int cols) {
  NamedTensor tensor{name, rows, cols, {}};
  for (int i = 0; i < rows * cols; ++i) {
    tensor.values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  }
  return tensor;
}

void ExpectSame(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].rows, b[i].rows);
    EXPECT_EQ(a[i].cols, b[i].cols);
    ASSERT_EQ(a[i].values.size(), b[i].values.size());
    EXPECT_TRUE(a[i].values.empty() || std::memcmp(a[i].values.data(), b[i].values.data(),
                                                   a[i].values.size() * sizeof(float)) == 0);
  }
}

TEST(DenseFile, GivesBackWhatWasWritten) {
  FileSystem& fs = FileSystem::Local();
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TempDir dir;
    std::vector<NamedTensor> tensors;
    const auto count = static_cast<int>(random() % 6);
    for (int i = 0; i < count; ++i) {
      const std::string name = "z\"é/layer." + std::to_string(count - i);
      tensors.push_back(RandomTensor(random, name, static_cast<int>(random() % 40),
                                     static_cast<int>(random() % 40)));
    }
    const auto entry = WriteDenseFile(fs, dir.path(), tensors);
    ASSERT_TRUE(entry.ok()) << entry.status().ToString();
    EXPECT_EQ(entry->name(), kDenseFileName);
    const std::string text = fs.Read(dir.Join(kDenseFileName)).value();
    EXPECT_EQ(entry->bytes(), static_cast<int64_t>(text.size()));
    EXPECT_EQ(entry->xxh3_128(), Hash128(text));
    const auto read = ReadDenseFile(fs, dir.path(), *entry);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ExpectSame(*read, tensors);
  }
}

TEST(DenseFile, IsTheFormatOfSafetensorsByteForByte) {
  TempDir dir;
  const std::vector<NamedTensor> tensors = {{"b", 1, 2, {1.0f, 2.0f}}, {"a", 1, 1, {3.0f}}};
  ASSERT_TRUE(WriteDenseFile(FileSystem::Local(), dir.path(), tensors).ok());
  std::string header = R"({"__metadata__":{"format":"trestle"},)"
                       R"("b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                       R"("a":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t size = header.size();
  const float values[] = {1.0f, 2.0f, 3.0f};
  EXPECT_EQ(FileSystem::Local().Read(dir.Join(kDenseFileName)).value(),
            std::string(reinterpret_cast<const char*>(&size), 8) + header +
                std::string(reinterpret_cast<const char*>(values), sizeof(values)));
}

TEST(DenseFile, RefusesNamesTwiceAndWrongShapes) {
  TempDir dir;
  for (const auto& tensors : {std::vector<NamedTensor>{{"a", 1, 1, {1.0f}}, {"a", 1, 1, {2.0f}}},
                              std::vector<NamedTensor>{{"a", 1, 2, {1.0f}}},
                              std::vector<NamedTensor>{{"__metadata__", 1, 1, {1.0f}}}}) {
    const Status status = WriteDenseFile(FileSystem::Local(), dir.path(), tensors).status();
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_THAT(status.ToString(), HasSubstr("dense.safetensors: tensor " + tensors[0].name));
  }
}

TEST(DenseFile, OneThatWasChangedSaysBothHashes) {
  TempDir dir;
  const auto entry = WriteDenseFile(FileSystem::Local(), dir.path(), {{"a", 1, 1, {3.0f}}});
  ASSERT_TRUE(entry.ok()) << entry.status().ToString();
  std::string text = FileSystem::Local().Read(dir.Join(kDenseFileName)).value();
  text.back() ^= 1;
  dir.Write(kDenseFileName, text);
  const Status status = ReadDenseFile(FileSystem::Local(), dir.path(), *entry).status();
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_THAT(
      status.ToString(),
      ContainsRegex("dense.safetensors: XXH3-128 is [0-9a-f]+, expected [0-9a-f]+: changed"));
}

// A file whose checksum fits, but which no Trestle wrote.
TEST(DenseFile, RefusesHeadersThatDoNotFit) {
  TempDir dir;
  const auto with_header = [](std::string header, size_t data) {
    const uint64_t size = header.size();
    return std::string(reinterpret_cast<const char*>(&size), 8) + header + std::string(data, 'x');
  };
  const std::string good = R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  for (const std::string& text :
       {std::string("short"), std::string(8, '\xff'), with_header("{", 8), with_header("[1]", 8),
        with_header(good, 7), with_header(R"({"a":{"dtype":"F32"}})", 8),
        with_header(R"({"a":{"dtype":"F16","shape":[1,2],"data_offsets":[0,8]}})", 8),
        with_header(R"({"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}})", 8),
        with_header(R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,0]}})", 8),
        with_header(R"({"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,8]}})", 8)}) {
    dir.Write(kDenseFileName, text);
    FileEntry entry;
    entry.set_name(kDenseFileName);
    entry.set_bytes(static_cast<int64_t>(text.size()));
    entry.set_xxh3_128(Hash128(text));
    const Status status = ReadDenseFile(FileSystem::Local(), dir.path(), entry).status();
    EXPECT_EQ(status.code(), StatusCode::kCorrupt) << text;
    EXPECT_THAT(status.ToString(), HasSubstr("dense.safetensors"));
  }
}

TEST(DenseFile, TellsAFailureAtEveryCall) {
  std::mt19937_64 random(1);
  const std::vector<NamedTensor> tensors = {RandomTensor(random, "large", 300, 300),
                                            RandomTensor(random, "small", 3, 3)};
  bool failed = true;
  int64_t call = 1;
  std::string told;
  for (; failed; ++call) {
    TempDir dir;
    FaultFileSystem fs(FileSystem::Local(), {.fail_call = call, .only_once = true});
    const auto entry = WriteDenseFile(fs, dir.path(), tensors);
    failed = fs.calls() >= call;
    ASSERT_EQ(entry.ok(), !failed);
    if (failed) {
      EXPECT_THAT(entry.status().ToString(), HasSubstr(kDenseFileName));
      told += entry.status().ToString();
    }
  }
  EXPECT_THAT(told, HasSubstr("(sync "));
  EXPECT_GT(call, 6) << "create, three appends, sync, close";
}

}  // namespace
}  // namespace trestle
