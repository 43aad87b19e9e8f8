// From what a sample shows to what a config should say: which columns are ids, lists, numbers or
// times, which are left out, and why.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "launcher/init/profile.h"
#include "worker/import/sample.h"

namespace trestle {

enum class Guess {
  kLabel,
  kIntegerId,
  kStringId,
  kTime,
  kNumber,
  kIntegerList,
  kStringList,
  kLeftOut
};

struct GuessedColumn {
  ColumnProfile profile;
  Guess guess = Guess::kLeftOut;
  std::string why;
  int dim = 0;            // of ids and lists
  char separator = '|';   // of lists
  std::string like;       // of lists: the id whose values they hold; empty: none
  int in_step = -1;       // lists with the same number have equal lengths in every row
  bool weekdays = false;  // of times: dates without a clock
  bool wide = false;      // of numbers: a few are far larger than most

  bool is_list() const { return guess == Guess::kIntegerList || guess == Guess::kStringList; }
};

struct GuessedConfig {
  std::vector<GuessedColumn> columns;  // in the file's order
  std::string label;
  bool label_is_binary = true;
  double positive_from = 0;  // of a label that is not
  double positive_share = 0;
  std::string group;                       // empty: none
  std::vector<std::string> missing_texts;  // that occur
};

// kInvalidConfig, kInvalidData: no such label, or one that says nothing.
Result<GuessedConfig> GuessConfig(const Sample& sample, const std::string& label);

const char* GuessName(Guess guess);

}  // namespace trestle
