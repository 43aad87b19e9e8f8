// `trestle init FILES --label clk`: looks at files, prints how it reads them, and writes a config
// that trains as it is.
//
// Thread safety: one thread. Collective: no.
// Errors: kNotFound, kInvalidData of the files; kInvalidConfig for what was asked, also if the
// config exists already.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

struct InitArguments {
  std::vector<std::string> files;  // patterns
  std::string label;
  std::string output;                // empty: NAME.textproto of the first file
  std::string group;                 // empty: guessed
  std::vector<std::string> columns;  // names, for files without a header
  bool newlines = false;             // quoted fields may go over several lines
  bool force = false;
};

Status InitCommand(FileSystem& fs, const InitArguments& arguments, std::ostream& out);

}  // namespace trestle
