// What `trestle init` makes of single columns.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "launcher/init/guess.h"

namespace trestle {
namespace {

// Column "y" is the label; the cells of both are repeated 20 times.
GuessedConfig Guessed(const std::vector<std::string>& labels,
                      const std::vector<std::string>& cells) {
  Sample sample;
  sample.names = {"y", "x"};
  sample.cells.resize(2);
  sample.text = {false, false};
  for (int i = 0; i < 20; ++i) {
    sample.cells[0].insert(sample.cells[0].end(), labels.begin(), labels.end());
    sample.cells[1].insert(sample.cells[1].end(), cells.begin(), cells.end());
  }
  sample.rows = static_cast<int64_t>(sample.cells[0].size());
  return GuessConfig(sample, "y").value();
}

TEST(Guess, ALabelWithAnyValueBetweenIsNotBinary) {
  const std::vector<std::string> cells = {"a", "b", "c"};
  EXPECT_TRUE(Guessed({"0", "1", "1.0"}, cells).label_is_binary);
  EXPECT_FALSE(Guessed({"0", "0.5", "1"}, cells).label_is_binary);
}

TEST(Guess, ListsAreThoseThatTheImportTakes) {
  const std::vector<std::string> labels = {"0", "1", "1"};
  EXPECT_EQ(Guessed(labels, {"1|2", "3", "1|2|3"}).columns[1].guess, Guess::kIntegerList);
  EXPECT_EQ(Guessed(labels, {"1, 2", "3", "[1, 2, 3]"}).columns[1].guess, Guess::kIntegerList);
  EXPECT_EQ(Guessed(labels, {"1|2|", "3|", "1|2|3|"}).columns[1].guess, Guess::kStringId);
}

TEST(Guess, NanAndInfinityAreNoNumbers) {
  EXPECT_NE(Guessed({"0", "1", "1"}, {"1.5", "inf", "-2.5"}).columns[1].guess, Guess::kNumber);
}

}  // namespace
}  // namespace trestle
