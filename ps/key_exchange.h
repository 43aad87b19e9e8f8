// KeyExchange: messages 1 and 2 of ps/wire.h, the part of a step that changes nothing on a server
// and therefore runs a step ahead, on the keys thread.
//
// Thread safety: one thread. Collective: all ranks. Ownership: comm is borrowed.
// Errors: kMismatch when workers disagree on action or step (on all ranks); any rank's failure.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "ps/dedup.h"
#include "ps/failure.h"
#include "ps/step.h"
#include "ps/topology.h"
#include "ps/wire.h"
#include "ps/worker_keys.h"

namespace trestle {

class KeyExchange {
 public:
  KeyExchange(Communicator& comm, const Topology& topology, const FailureBox& main_failure);

  // Fills `step`. Of a dedicated server, header is null and lanes are empty. After an error every
  // further call returns it without a message.
  Status Prepare(const StepHeader* header, std::vector<LaneKeys> lanes, const Status& local,
                 Step* step);

 private:
  Status Run(const StepHeader* header, std::vector<LaneKeys> lanes, const Status& local,
             Step* step);
  // How many of this worker's unique keys of a table need no wire.
  int64_t KeysOfOwnShard(const WorkerTable& table) const;
  Status BuildWorker(const StepHeader& header, std::vector<LaneKeys> lanes, Step* step);
  // Message 1. counts_[rank][table] is then what that rank will ask of this one.
  Status ExchangeRecords(const Operation& op, const StepHeader* header, const Status& local,
                         Step* step);
  CheckpointVotes Votes() const;
  StepRecord MakeRecord(const StepHeader* header, bool failed) const;
  void WriteRecord(const StepRecord& record, const Step& step, size_t to, std::byte* out) const;
  Status ReadRecord(size_t from, StepRecord* record);
  Status Agree(std::span<const StepRecord> records, AgreedHeader* agreed) const;
  // Message 2.
  Status ExchangeKeys(const Operation& op, Step* step);

  Communicator& comm_;
  const Topology& topology_;
  int64_t last_step_ = 0;                // agreed on
  Action last_action_ = Action::kTrain;  // likewise
  const FailureBox& main_failure_;
  WorkerKeysBuilder worker_builder_;
  Deduplicator server_dedup_;
  Buffer<std::byte> records_out_, records_in_;
  std::vector<std::vector<uint32_t>> counts_;  // [ranks][tables]
  Buffer<std::byte> keys_out_, keys_in_;
  Status failed_;
};

}  // namespace trestle
