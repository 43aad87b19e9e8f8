// InputColumns: columns of files of blocks as they are, to be carried along beside predictions.
// Over several files a column has one type: integers of different widths become int64, integers
// beside fractions double, and dictionaries what they stand for.
//
// Thread safety: one thread. Errors: kInvalidData, all at once: a column that is missing, with the
// names that there are, or whose types do not go together; and those of reading.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace arrow {
class Array;
class DataType;
}  // namespace arrow

namespace trestle {

class BlockFile;

class InputColumns {
 public:
  // Files and blocks in their order. `flag` is what named the columns, for errors: "--columns".
  // `imported`: files of the import's, each of which takes the narrowest integers it can.
  static Result<InputColumns> Open(const std::vector<std::string>& files,
                                   const std::vector<std::string>& names, const std::string& flag,
                                   bool imported);

  const std::vector<std::shared_ptr<arrow::DataType>>& types() const { return types_; }
  // The columns of a block, blocks numbered file after file.
  Result<std::vector<std::shared_ptr<arrow::Array>>> Read(int64_t block) const;

 private:
  struct Place {
    size_t file;
    int64_t index;
  };

  std::vector<std::shared_ptr<const BlockFile>> files_;
  std::vector<Place> blocks_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<arrow::DataType>> types_;
};

}  // namespace trestle
