// RankFiles: what one rank writes of one checkpoint, on a thread of its own: a shard of every table
// from its snapshot, and on the leader the dense file.
//
// Thread safety: made, joined and destroyed by one thread; the destructor joins. Ownership: the
// tables outlive it. Errors: kIoError (full disk), kOutOfMemory, told by Join.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "embedding/table.h"
#include "ps/checkpoint/dense_file.h"
#include "ps/checkpoint/manifest.pb.h"

namespace trestle {

inline constexpr char kNoCheckpointMemory[] = "no memory to write a checkpoint with";

class RankFiles {
 public:
  struct Spec {
    std::string folder;  // the checkpoint's
    int server = -1, servers = 1;
    // Only rows that a step after this one pushed to, and those that none ever did; 0: all.
    int64_t newer_than = 0;
    int64_t snapshot_bytes = 0;
    std::chrono::nanoseconds patience{0};  // of a step that waits for snapshot memory
  };

  // Marks the tables now. A failure is told by Join, like those of writing.
  RankFiles(FileSystem& fs, Spec spec, const std::vector<EmbeddingTable*>& tables,
            std::vector<NamedTensor> dense);
  ~RankFiles();  // gives up what is not written

  // Starts the thread; `done` is the last thing it calls. kOutOfMemory if the system has no thread.
  Status Start(std::function<void()> done);
  // A step of training begins, which may wait for snapshot memory.
  void BeginStep() { memory_->BeginStep(); }
  // Waits for the thread. The manifest's parts that this rank knows: files, and per table the rows
  // and digest of this shard, whether all its rows are in the files or not.
  Result<Manifest> Join();

  const SnapshotMemory& memory() const { return *memory_; }

 private:
  Status Write();
  Status WriteTable(size_t table);

  FileSystem& fs_;
  const Spec spec_;
  const std::vector<EmbeddingTable*> tables_;
  const std::vector<NamedTensor> dense_;
  const std::shared_ptr<SnapshotMemory> memory_;
  std::vector<std::unique_ptr<TableSnapshot>> snapshots_;
  Manifest part_;
  Status status_;
  std::atomic<bool> given_up_{false};
  std::thread thread_;
};

}  // namespace trestle
