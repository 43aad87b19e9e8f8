#include "ps/key_exchange.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "ps/agreement.h"
#include "ps/failure.h"

namespace trestle {
namespace {

std::string Describe(const StepRecord& record) {
  const std::string step = std::to_string(record.step);
  switch (static_cast<Action>(record.action)) {
    case Action::kTrain:
      return "training step " + step;
    case Action::kEvaluate:
      return "evaluation step " + step;
    case Action::kEndPass:
      return "the end of the pass at step " + step;
    case Action::kStop:
      return "stop at step " + step;
    case Action::kCheckpoint:
      return "a checkpoint of step " + step;
  }
  return "an unknown action";
}

template <class T>
std::byte* Append(std::byte* at, const T* values, size_t count) {
  if (count != 0) std::memcpy(at, values, count * sizeof(T));
  return at + count * sizeof(T);
}

template <class T>
const std::byte* Extract(const std::byte* at, T* values, size_t count) {
  if (count != 0) std::memcpy(values, at, count * sizeof(T));
  return at + count * sizeof(T);
}

size_t KeyBytes(bool training) { return sizeof(Key) + (training ? sizeof(KeyCounts) : 0); }

}  // namespace

KeyExchange::KeyExchange(Communicator& comm, const Topology& topology,
                         const FailureBox& main_failure)
    : comm_(comm),
      topology_(topology),
      main_failure_(main_failure),
      worker_builder_(topology),
      counts_(static_cast<size_t>(topology.ranks), std::vector<uint32_t>(topology.tables())) {}

Status KeyExchange::Prepare(const StepHeader* header, std::vector<LaneKeys> lanes,
                            const Status& local, Step* step) {
  if (failed_.ok()) failed_ = Run(header, std::move(lanes), local, step);
  return failed_;
}

Status KeyExchange::Run(const StepHeader* header, std::vector<LaneKeys> lanes, const Status& local,
                        Step* step) {
  Operation op{Stream::kKeys, "keys", header ? header->step : last_step_ + 1};
  // What workers do between two passes (metrics, a checkpoint) may take one of them long.
  if (!header && last_action_ == Action::kEndPass) op.limit = kLongPhase;
  // What the main thread failed with is known to all ranks by now or is about to be; whoever of
  // them is inside this Prepare already must not be left alone with it.
  Status own = local.ok() ? main_failure_.Get() : local;
  step->pulled = false;
  step->unique_keys = step->occurrences = step->unseen_keys = step->unseen_occurrences = 0;
  step->remote_keys = step->needed_bytes = 0;
  step->header = {};
  step->worker.resize(topology_.tables());
  step->server.resize(topology_.tables());
  if (header && own.ok()) {
    own = WithinMemory(Where(op), [&] { return BuildWorker(*header, std::move(lanes), step); });
  }
  if (topology_.alone()) return own;
  TRESTLE_RETURN_IF_ERROR(ExchangeRecords(op, header, own, step));
  last_step_ = step->header.step;
  last_action_ = step->header.action;
  return step->has_keys() ? ExchangeKeys(op, step) : Ok();
}

int64_t KeyExchange::KeysOfOwnShard(const WorkerTable& table) const {
  if (!topology_.is_server()) return 0;
  const auto own = static_cast<size_t>(topology_.server_index());
  return table.shard_begin[own + 1] - table.shard_begin[own];
}

Status KeyExchange::BuildWorker(const StepHeader& header, std::vector<LaneKeys> lanes, Step* step) {
  step->header = {header.action,         header.step,        header.rows, header.rejected,
                  header.stop_requested, header.out_of_time, Votes()};
  step->header.lr_factor = header.lr_factor;
  step->lanes = std::move(lanes);
  if (!step->has_keys()) return {};
  worker_builder_.Build(step->lanes, step->training(), &step->worker);
  step->sums.resize(topology_.tables());
  for (size_t t = 0; t < topology_.tables(); ++t) {
    const WorkerTable& table = step->worker[t];
    step->unique_keys += table.unique();
    step->occurrences += static_cast<int64_t>(table.occurrences.size());
    const int64_t remote = table.unique() - KeysOfOwnShard(table);
    const auto row_bytes = static_cast<int64_t>(sizeof(float)) * topology_.dims[t];
    step->remote_keys += remote;
    step->needed_bytes += remote * (static_cast<int64_t>(sizeof(Key)) + 2 * row_bytes);
    if (!step->training()) continue;
    step->sums[t].Reset(size_t{table.positions()} * static_cast<size_t>(topology_.dims[t]));
  }
  step->sums_started.assign(step->lanes.size() * topology_.tables(), 0);
  return LayOutRows(topology_, step);
}

Status KeyExchange::ExchangeRecords(const Operation& op, const StepHeader* header,
                                    const Status& local, Step* step) {
  const size_t ranks = static_cast<size_t>(topology_.ranks);
  const size_t bytes = sizeof(StepRecord) + topology_.tables() * sizeof(uint64_t);
  records_out_.Reset(ranks * bytes);
  records_in_.Reset(ranks * bytes);
  std::vector<ConstBuffer> send(ranks);
  std::vector<MutableBuffer> recv(ranks);
  const StepRecord record = MakeRecord(header, !local.ok());
  for (size_t r = 0; r < ranks; ++r) {
    WriteRecord(record, *step, r, records_out_.data() + r * bytes);
    send[r] = {records_out_.data() + r * bytes, bytes};
    recv[r] = {records_in_.data() + r * bytes, bytes};
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllToAll(op, send, recv));
  std::vector<StepRecord> records(ranks);
  bool failed = false;
  for (size_t r = 0; r < ranks; ++r) {
    if (Status status = ReadRecord(r, &records[r]); !status.ok()) return status.Wrap(Where(op));
    failed = failed || (records[r].flags & kFailed) != 0;
  }
  if (failed) return AgreeOnFailure(comm_, op, local);
  // All ranks see the same records; the lowest says what is wrong with them.
  const Status agreed = Agree(records, &step->header).Wrap(Where(op));
  return agreed.ok() ? Status() : AgreeOnFailure(comm_, op, agreed);
}

CheckpointVotes KeyExchange::Votes() const {
  return topology_.checkpoint_votes ? topology_.checkpoint_votes() : CheckpointVotes();
}

// What is polled is polled once: all ranks must hear the same.
StepRecord KeyExchange::MakeRecord(const StepHeader* header, bool failed) const {
  StepRecord record;
  const CheckpointVotes votes = Votes();
  record.checkpoints_wanted = votes.wanted;
  record.checkpoints_written = votes.written;
  if (failed) record.flags |= kFailed;
  const bool stop =
      header ? header->stop_requested : topology_.stop_requested && topology_.stop_requested();
  if (stop) record.flags |= kStopRequested;
  if (header) {
    record.flags |= kWorker;
    if (header->out_of_time) record.flags |= kOutOfTime;
    record.action = static_cast<int32_t>(header->action);
    record.step = header->step;
    record.rows = header->rows;
    record.rejected = header->rejected;
    record.lr_factor = header->lr_factor;
  }
  return record;
}

void KeyExchange::WriteRecord(const StepRecord& record, const Step& step, size_t to,
                              std::byte* out) const {
  const bool asks = (record.flags & kWorker) != 0 && (record.flags & kFailed) == 0;
  out = Append(out, &record, 1);
  const int server = topology_.server_of[to];
  for (size_t t = 0; t < topology_.tables(); ++t) {
    uint64_t count = 0;
    if (server >= 0 && asks && step.has_keys()) {
      const std::vector<uint32_t>& begin = step.worker[t].shard_begin;
      count = begin[static_cast<size_t>(server) + 1] - begin[static_cast<size_t>(server)];
    }
    out = Append(out, &count, 1);
  }
}

Status KeyExchange::ReadRecord(size_t from, StepRecord* record) {
  const size_t bytes = sizeof(StepRecord) + topology_.tables() * sizeof(uint64_t);
  const std::byte* in = Extract(records_in_.data() + from * bytes, record, 1);
  TRESTLE_RETURN_IF_ERROR(CheckMagic(record->magic, from));
  for (size_t t = 0; t < topology_.tables(); ++t) {
    uint64_t count = 0;
    in = Extract(in, &count, 1);
    if (count >= uint64_t{1} << 31) {
      return {StatusCode::kInternal, "rank " + std::to_string(from) + " announces " +
                                         std::to_string(count) + " keys of one table"};
    }
    counts_[from][t] = static_cast<uint32_t>(count);
  }
  return {};
}

Status KeyExchange::Agree(std::span<const StepRecord> records, AgreedHeader* agreed) const {
  *agreed = {};
  const size_t first = static_cast<size_t>(topology_.workers.front().value);
  agreed->action = static_cast<Action>(records[first].action);
  agreed->step = records[first].step;
  agreed->lr_factor = records[first].lr_factor;
  agreed->checkpoints.written = records[first].checkpoints_written;
  for (size_t r = 0; r < records.size(); ++r) {
    const StepRecord& record = records[r];
    CheckpointVotes& votes = agreed->checkpoints;
    votes.wanted = std::max(votes.wanted, record.checkpoints_wanted);
    votes.written = std::min(votes.written, record.checkpoints_written);
    agreed->stop_requested = agreed->stop_requested || (record.flags & kStopRequested) != 0;
    agreed->out_of_time = agreed->out_of_time || (record.flags & kOutOfTime) != 0;
    if ((record.flags & kWorker) == 0) continue;
    if (record.action != records[first].action || record.step != records[first].step) {
      return {StatusCode::kMismatch, "rank " + std::to_string(first) + " is at " +
                                         Describe(records[first]) + ", rank " + std::to_string(r) +
                                         " at " + Describe(record) +
                                         "; give all ranks the same config and the same files"};
    }
    agreed->rows += record.rows;
    agreed->rejected += record.rejected;
  }
  return {};
}

Status KeyExchange::ExchangeKeys(const Operation& op, Step* step) {
  const bool training = step->training();
  const size_t ranks = static_cast<size_t>(topology_.ranks);
  std::vector<ConstBuffer> send(ranks);
  std::vector<MutableBuffer> recv(ranks);

  keys_out_.Reset(static_cast<size_t>(step->unique_keys) * KeyBytes(training));
  std::byte* out = keys_out_.data();
  for (size_t s = 0; topology_.is_worker() && s < topology_.servers.size(); ++s) {
    std::byte* const begin = out;
    for (const WorkerTable& table : step->worker) {
      const size_t first = table.shard_begin[s];
      const size_t count = table.shard_begin[s + 1] - first;
      out = Append(out, table.keys.data() + first, count);
      if (training) out = Append(out, table.counts.data() + first, count);
    }
    send[static_cast<size_t>(topology_.servers[s].value)] = {begin,
                                                             static_cast<size_t>(out - begin)};
  }

  size_t bytes = 0;
  for (const Rank worker : topology_.workers) {
    size_t keys = 0;
    for (const uint32_t count : counts_[static_cast<size_t>(worker.value)]) keys += count;
    recv[static_cast<size_t>(worker.value)].bytes = keys * KeyBytes(training);
    bytes += keys * KeyBytes(training);
  }
  std::byte* in = keys_in_.Reset(bytes).data();
  for (MutableBuffer& buffer : recv) {
    buffer.data = in;
    in += buffer.bytes;
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllToAll(op, send, recv));
  if (!topology_.is_server()) return {};

  std::vector<uint32_t> counts(topology_.workers.size());
  for (size_t t = 0; t < topology_.tables(); ++t) {
    for (size_t w = 0; w < counts.size(); ++w) {
      counts[w] = counts_[static_cast<size_t>(topology_.workers[w].value)][t];
    }
    ResetRequests(counts, training, &step->server[t]);
  }
  for (size_t w = 0; w < counts.size(); ++w) {
    const auto* at =
        static_cast<const std::byte*>(recv[static_cast<size_t>(topology_.workers[w].value)].data);
    for (ServerTable& table : step->server) {
      const size_t first = table.worker_begin[w];
      at = Extract(at, table.requests.data() + first, table.count(w));
      if (training) at = Extract(at, table.request_counts.data() + first, table.count(w));
    }
  }
  for (ServerTable& table : step->server) DedupRequests(&server_dedup_, training, &table);
  return {};
}

}  // namespace trestle
