// The first rows of a file as text, for whoever looks at what its columns are.
//
// Thread safety: pure, but for reading. Errors: those of the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/import/source.h"

namespace trestle {

struct Sample {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> cells;  // [column][row]; lists as [1, 2]
  std::vector<bool> text;  // of each column: the file says that its cells, or items, are text
  int64_t rows = 0;
  int64_t bad_rows = 0;      // records that are no rows: left out
  int64_t rows_in_file = 0;  // an estimate, unless the sample is all of it
};

Result<Sample> TakeSample(const Source& source, const TextFiles& text, int64_t most_bytes);

}  // namespace trestle
