// The folder that a `trestle synth` command fills: files are written aside under another ending and
// get their names together at the end, in the place of what an earlier call left there. Files of an
// earlier call must go, or data of two sizes would mix.
//
// Thread safety: one thread. Errors: kIoError with the path and the system's reason.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class OutputFolder {
 public:
  // `is_ours` says whether a name is one that this command gives to a finished file.
  OutputFolder(FileSystem& fs, std::string folder, std::function<bool(const std::string&)> is_ours)
      : fs_(fs), folder_(std::move(folder)), is_ours_(std::move(is_ours)) {}

  // Makes the folder; removes what a call that was killed left unfinished.
  Status Open();
  // The path to write the file `name` at until Finish.
  std::string Add(std::string name);
  // Removes the older files (their number is returned) and gives the new ones their names.
  Result<int64_t> Finish();

 private:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  Result<int64_t> RemoveIf(const std::function<bool(const std::string&)>& is_old);

  FileSystem& fs_;
  const std::string folder_;
  const std::function<bool(const std::string&)> is_ours_;
  std::vector<std::string> names_;
};

}  // namespace trestle
