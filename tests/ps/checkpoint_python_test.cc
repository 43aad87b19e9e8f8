// Checkpoints open in other tools: pyarrow, pandas, duckdb and safetensors read what was written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <sstream>

#include "tests/ps/checkpoint_files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

// scripts/setup makes it.
constexpr char kPython[] = TRESTLE_SOURCE_DIR "/.venv/bin/python";

// Python's floats are doubles, which do not keep the payload of every NaN.
void MakeFinite(std::vector<float>* values) {
  for (float& value : *values) value = std::isfinite(value) ? value : 1.5f;
}

PlainCheckpoint FiniteCheckpoint(uint64_t seed) {
  std::mt19937_64 random(seed);
  PlainCheckpoint checkpoint = RandomCheckpoint(random, 50);
  for (PlainTable& table : checkpoint.tables) {
    for (auto& [mixed, row] : table.rows) {
      MakeFinite(&row.weights);
      MakeFinite(&row.state);
    }
  }
  checkpoint.tables.push_back({"empty", 4, "adagrad", {}});
  for (NamedTensor& tensor : checkpoint.dense) MakeFinite(&tensor.values);
  return checkpoint;
}

std::string Bits(const std::vector<float>& values) {
  std::string text;
  for (const float value : values) text += std::to_string(std::bit_cast<uint32_t>(value)) + ",";
  return text;
}

// In the words of read_checkpoint.py.
std::string Expected(const PlainCheckpoint& checkpoint) {
  std::ostringstream out;
  for (const PlainTable& table : checkpoint.tables) {
    for (const auto& [mixed, row] : table.rows) {
      out << "row\t" << table.name << '\t' << row.key << '\t' << row.occurrences << '\t'
          << row.samples << '\t' << row.last_step << '\t' << Bits(row.weights) << '\t'
          << Bits(row.state) << '\n';
    }
  }
  for (const NamedTensor& tensor : checkpoint.dense) {
    out << "tensor\t" << tensor.name << '\t' << tensor.rows << '\t' << tensor.cols << '\t'
        << Bits(tensor.values) << '\n';
  }
  return out.str();
}

class CheckpointInPython : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(FileSystem::Local().Exists(kPython)) << "run scripts/setup";
    const auto path = WritePlainCheckpoint(FileSystem::Local(), dir_.path(), checkpoint_,
                                           {.name = {7, 1}, .servers = 3, .batch_bytes = 1000});
    ASSERT_TRUE(path.ok()) << path.status().ToString();
    path_ = *path;
  }

  TempDir dir_;
  const PlainCheckpoint checkpoint_ = FiniteCheckpoint(77);
  std::string path_;
};

TEST_F(CheckpointInPython, PandasDuckdbAndSafetensorsReadEveryValue) {
  const std::string expected = dir_.Write("expected", Expected(checkpoint_));
  const std::string script = TRESTLE_SOURCE_DIR "/tests/ps/read_checkpoint.py";
  const ProcessResult result = RunCommand({{kPython, script, path_, expected}, {}, {}});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  for (const PlainTable& table : checkpoint_.tables) {
    EXPECT_THAT(result.output, HasSubstr("table " + table.name + ": " +
                                         std::to_string(table.rows.size()) + " rows"));
  }
  EXPECT_THAT(result.output, HasSubstr("dense: 2 tensors"));
}

// The script above can fail: one value that differs is found.
TEST_F(CheckpointInPython, OneOtherBitIsFound) {
  PlainCheckpoint other = checkpoint_;
  float& value = other.tables[1].rows.begin()->second.state.back();
  value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) ^ 1);
  const std::string expected = dir_.Write("expected", Expected(other));
  const std::string script = TRESTLE_SOURCE_DIR "/tests/ps/read_checkpoint.py";
  const ProcessResult result = RunCommand({{kPython, script, path_, expected}, {}, {}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("pandas: state of "));
}

TEST_F(CheckpointInPython, TheExampleOfTheDocumentRuns) {
  const std::string page =
      FileSystem::Local().Read(TRESTLE_SOURCE_DIR "/docs/checkpoint-format.md").value();
  const std::string open = "```python\n";
  const size_t begin = page.find(open) + open.size(), end = page.find("```", begin);
  ASSERT_LT(end, page.size());
  const std::string script = dir_.Write("example.py", page.substr(begin, end - begin));
  const ProcessResult result = RunCommand({{kPython, script, path_, "item"}, {}, {}});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(
      result.output,
      HasSubstr("item: " + std::to_string(checkpoint_.tables[0].rows.size()) + " rows of dim 4"));
  EXPECT_THAT(result.output, HasSubstr("mlp.0.weight"));
}

}  // namespace
}  // namespace trestle
