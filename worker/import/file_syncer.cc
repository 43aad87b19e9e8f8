#include "worker/import/file_syncer.h"

#include <utility>

namespace trestle {

FileSyncer::~FileSyncer() {
  if (thread_.joinable()) static_cast<void>(Finish());  // another failure is on its way
}

void FileSyncer::Add(std::string path) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(path));
  }
  changed_.notify_one();
}

Status FileSyncer::Finish() {
  {
    const std::lock_guard lock(mutex_);
    last_ = true;
  }
  changed_.notify_one();
  thread_.join();
  return failed_;
}

Status FileSyncer::SyncFile(const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs_.OpenAppend(path));
  TRESTLE_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

void FileSyncer::Run() {
  while (true) {
    std::vector<std::string> paths;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return last_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      paths.swap(waiting_);
    }
    for (const std::string& path : paths) {
      if (failed_.ok()) failed_ = SyncFile(path);
    }
  }
}

}  // namespace trestle
