// FileSyncer: brings finished files to the disk on a thread of its own, so that who made them goes
// on with the next: a disk is slower than two cores that import.
//
// Thread safety: Add from several threads. Ownership: borrows the filesystem. Errors: the first
// failure, from Finish.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

class FileSyncer {
 public:
  explicit FileSyncer(FileSystem& fs) : fs_(fs), thread_([this] { Run(); }) {}
  ~FileSyncer();
  FileSyncer(const FileSyncer&) = delete;
  FileSyncer& operator=(const FileSyncer&) = delete;

  void Add(std::string path);
  // Waits until all files are durable. Nothing may be added afterwards.
  Status Finish();

 private:
  void Run();
  Status SyncFile(const std::string& path);

  FileSystem& fs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> waiting_;
  bool last_ = false;
  Status failed_;
  std::thread thread_;
};

}  // namespace trestle
