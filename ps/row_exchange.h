// RowExchange: message 3 of ps/wire.h. Servers look their keys up, creating rows in training, and
// answer each worker; a server that fails answers with the promised size and says so in its
// verdict. A rank alone has its tables write the rows where Gather reads them.
//
// Thread safety: the main thread. Collective: all ranks. Ownership: all is borrowed.
// Errors: a table's failure, on all ranks.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "embedding/table.h"
#include "ps/step.h"
#include "ps/topology.h"

namespace trestle {

class RowExchange {
 public:
  RowExchange(Communicator& comm, const Topology& topology,
              std::span<const std::unique_ptr<EmbeddingTable>> tables, ThreadPool* pool)
      : comm_(comm), topology_(topology), tables_(tables), pool_(pool) {}

  Status Pull(Step* step);

 private:
  Status PullAlone(Step* step);
  // Rows and handles of all unique keys of this server.
  Status PullTables(Step* step);
  // Message 3 for each worker, at reply_at_[w] as reply_layouts_[w] says. The reply to this rank
  // itself is written where Gather reads it, the others into replies_.
  void LayOutReplies(Step* step);
  bool IsOwn(size_t worker) const { return static_cast<int>(worker) == topology_.worker_index(); }
  void WriteReplies(const Step& step);
  void WriteReply(const Step& step, size_t worker, size_t table);
  void WriteAbsent(const Step& step, size_t worker, size_t table);
  // Reads the absent bits of all servers.
  void CountUnseen(Step* step) const;

  Communicator& comm_;
  const Topology& topology_;
  const std::span<const std::unique_ptr<EmbeddingTable>> tables_;
  ThreadPool* const pool_;
  std::vector<RowLayout> reply_layouts_;  // [workers]
  std::vector<std::byte*> reply_at_;      // [workers]
  Buffer<std::byte> replies_;
};

}  // namespace trestle
