// GradientExchange: messages 4 to 6 of ps/wire.h. Sums of lanes are added per key in fixed point,
// by workers over their lanes and by servers over the workers, and become the mean gradient of the
// batch in the server that owns the key. Each key is summed by one thread, through Contributions:
// no atomics.
//
// Thread safety: the main thread. Collective: all ranks. Ownership: all is borrowed.
// Errors: any rank's failure, on all ranks. A bad step is no error.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "embedding/table.h"
#include "ps/client.h"
#include "ps/fixed_rows.h"
#include "ps/gradient_codec.h"
#include "ps/step.h"
#include "ps/topology.h"

namespace trestle {

class GradientExchange {
 public:
  GradientExchange(Communicator& comm, const Topology& topology,
                   std::span<const std::unique_ptr<EmbeddingTable>> tables, ThreadPool* pool);

  Result<PushOutcome> Push(Step* step, bool bad, const Status& local);

 private:
  Result<PushOutcome> PushAlone(Step* step, bool bad, const Status& local);

  // Per key, the sum over this worker's lanes, handed to sink(key, sum). kNumeric if a lane's sum
  // is not a term of FixedUnit.
  template <class Dim, class Sink>
  Status SumLanes(const Step& step, size_t table, Dim dim, Sink sink);
  // Sums and whether each is narrow, of all tables.
  Status SumTables(const Step& step);
  void Encode(const Step& step);
  // Message 5, and its sum over the workers: means_.
  Status ExchangePayloads(const Operation& op, std::span<const Verdict> verdicts, const Step& step);
  Status Locate(const Step& step, size_t worker);
  void SumWorkers(const Step& step, size_t table);
  Status PushTables(Step* step);

  Communicator& comm_;
  const Topology& topology_;
  const std::span<const std::unique_ptr<EmbeddingTable>> tables_;
  ThreadPool* const pool_;
  const FixedRows fixed_;

  std::vector<Buffer<int64_t>> sums_;    // [tables] of [unique, dim], worker
  std::vector<Buffer<uint8_t>> narrow_;  // [tables] of [unique], worker
  std::vector<size_t> payload_begin_;    // [servers + 1] in payload_out_
  Buffer<std::byte> payload_out_, payload_in_;
  std::vector<std::span<const std::byte>> received_;  // [workers]
  std::vector<Buffer<EncodedRow>> rows_;              // [tables] of [requests], server
  std::vector<Buffer<float>> means_;                  // [tables] of [unique, dim], server
};

}  // namespace trestle
