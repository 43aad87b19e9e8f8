// The folder that a preparation fills: OUT/train and OUT/test. Everything is made in OUT/unfinished
// and gets its place at the end, and OUT/prepared.json, which tells what was prepared, is written
// last: a folder with it is complete. What a call leaves that was killed is removed by the next
// one.
//
// Thread safety: one thread. Ownership: a folder that is destroyed before Finish removes what is
// unfinished. Local disks only, since DuckDB writes there itself.
// Errors: kInvalidConfig if the folder is complete, in use, or holds other files; kIoError.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/run_lock.h"

namespace trestle {

inline constexpr std::string_view kPreparedName = "prepared.json";

class PreparedFolder {
 public:
  // Makes the folder and takes its lock. With `force` a complete one is removed and begun anew.
  static Result<std::unique_ptr<PreparedFolder>> Open(FileSystem& fs, const std::string& path,
                                                      bool force);
  ~PreparedFolder();
  PreparedFolder(const PreparedFolder&) = delete;
  PreparedFolder& operator=(const PreparedFolder&) = delete;

  // A path in the unfinished part, absolute. It has the folders train, test, and scratch for all
  // that does not stay.
  [[nodiscard]] std::string Work(const std::string& name) const;
  // Whether something of an earlier call was removed.
  [[nodiscard]] bool begins_anew() const { return begins_anew_; }
  // Removes a folder of the unfinished part with all that is in it; none is fine.
  Status RemoveTree(const std::string& name);
  // Syncs the files, puts them in place, and writes prepared.json.
  Status Finish(std::string_view json);

 private:
  PreparedFolder(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Status CheckWhatIsThere(bool force);
  Status RemoveEarlier();
  Status SyncFiles(const std::string& split);

  FileSystem& fs_;
  const std::string path_;
  std::optional<RunLock> lock_;
  bool begins_anew_ = false;
  bool finished_ = false;
};

}  // namespace trestle
