// A job that takes checkpoints: the ranks of tests/ps/job.h with a CheckpointWriter each and a
// dense side that is a function of the step. What it returns tells, step by step, what every
// checkpoint must hold.
//
// Thread safety: one caller; hooks run on the ranks' threads. Errors: a rank's status; a wait that
// would not end fails the test at its deadline.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/checkpoint_writer.h"
#include "ps/checkpoint/restore.h"
#include "tests/ps/job.h"
#include "tests/support/fake_clock.h"

namespace trestle::testing {

// For a loop that waits for writers, which give way to threads that are busy.
inline void LetWritersRun() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

// Six numbers that a step sets.
class StepDense final : public DenseBackend {
 public:
  bool no_memory = false;  // to copy it with

  void MoveTo(int64_t step) { std::iota(values_.begin(), values_.end(), static_cast<float>(step)); }

  void BeginStep() override {}
  void RunLane(int, LanePosition, bool, LaneTensors&) override {}
  bool bad(std::string*) const override { return false; }
  std::span<int64_t> Sums() override { return {}; }
  StepTotals Totals() const override { return {}; }
  void ApplyStep(int64_t step, float) override { MoveTo(step); }
  const ParameterSet& parameters() const override { return parameters_; }
  const StatisticSet& statistics() const override { return statistics_; }
  FixedUnit unit() const override { return {}; }
  ModelOutputSpec outputs() const override { return {}; }
  uint64_t Digest() const override { return Hash64(std::as_bytes(std::span(values_))); }
  std::vector<std::pair<FlatSlice, std::span<float>>> State() override {
    if (no_memory) throw std::bad_alloc();
    return {{{"w", 2, 2, 0}, std::span(values_).first(4)},
            {{"adam.m/w", 1, 2, 4}, std::span(values_).subspan(4)}};
  }

 private:
  std::vector<float> values_ = std::vector<float>(6);
  const ParameterSet parameters_{0};
  const StatisticSet statistics_;
};

// What a rank knew at a boundary, for a hook.
struct AtStep {
  int rank;
  int64_t step;
  CheckpointWriter& writer;
};

struct CheckpointJob {
  Plan plan = SmallPlan(3);
  JobShape shape;
  std::string folder;
  CheckpointPolicy policy;
  std::function<FileSystem&(int rank)> files;
  const Clock* clock = nullptr;  // default: one that stands
  // The leader has no memory to copy the dense side with after this step; -1: never.
  int64_t no_memory_at = -1;
  // Before AtBoundary.
  std::function<void(const AtStep&)> before = [](const AtStep&) {};
  // After it. The default waits for what is begun, so that the job does not outrun its disk.
  std::function<void(const AtStep&)> after = Settle;

  // Until the files of what was begun are written. Not with a request that is not begun yet.
  static void Settle(const AtStep& at) {
    while (at.writer.Votes().written < at.writer.Votes().wanted) LetWritersRun();
  }
};

struct CheckpointOutcome {
  std::vector<Status> statuses;  // of the ranks
  // A rank each: what its writer reported, in order, and the step at which it did.
  std::vector<std::vector<CheckpointReport>> reports;
  std::vector<std::vector<int64_t>> reported_at;
  std::vector<CheckpointReport> last;                      // of Finish
  std::map<int64_t, std::vector<uint64_t>> digests, rows;  // of each table, after each step
};

// What the cursor of a worker says after a step; sums of all workers are `total` of it.
inline Cursor CursorAt(int64_t step, int rank) {
  Cursor cursor;
  cursor.set_step(step);
  cursor.set_epoch_step(step);
  cursor.set_loss_sum(0.1 * static_cast<double>(step));
  cursor.set_rows(7 * step);
  cursor.set_positives(step * (rank + 1));
  cursor.set_rows_read(100 * step + rank);
  cursor.set_rows_rejected(rank);
  cursor.set_ledger_hash(~uint64_t{0} / 3 * static_cast<uint64_t>(step + rank));
  return cursor;
}

class CheckpointRank {
 public:
  CheckpointRank(const CheckpointJob& job, const Roles& roles, const Clock& clock,
                 Communicator& comm, std::mutex* mutex, CheckpointOutcome* outcome)
      : job_(job),
        roles_(roles),
        clock_(clock),
        comm_(comm),
        rank_(comm.rank().value),
        mutex_(*mutex),
        outcome_(*outcome) {}

  Status Run() {
    TRESTLE_RETURN_IF_ERROR(Make());
    Status status = node_->is_worker() ? Work() : node_->Serve();
    TRESTLE_RETURN_IF_ERROR(status);
    TRESTLE_ASSIGN_OR_RETURN(const auto drained, writer_->Drain());
    Keep(drained, job_.plan.steps);
    cursor_.set_step(job_.plan.steps);
    TRESTLE_ASSIGN_OR_RETURN(const auto last, writer_->Finish(cursor_, true));
    std::lock_guard lock(mutex_);
    outcome_.last[static_cast<size_t>(rank_)] = last;
    return {};
  }

 private:
  Status Make() {
    NodeOptions options;
    options.roles = roles_;
    options.tables = job_.plan.tables;
    options.slot_tables = job_.plan.slot_tables;
    options.checkpoint_votes = [this] { return writer_ ? writer_->Votes() : CheckpointVotes(); };
    options.at_boundary = [this](const AgreedHeader& header) { return Boundary(header); };
    TRESTLE_ASSIGN_OR_RETURN(node_, MakeNode(comm_, options, &pool_));
    CheckpointWriter::Options writer;
    writer.folder = job_.folder;
    writer.leader = roles_.workers.front();
    writer.policy = job_.policy;
    for (const TableSpec& spec : job_.plan.tables) {
      if (comm_.rank() != writer.leader) continue;
      TableEntry* const entry = writer.facts.add_tables();
      entry->set_name(spec.name);
      entry->set_dim(spec.dim);
      entry->set_optimizer(OptimizerName(spec));
    }
    writer_ = std::make_unique<CheckpointWriter>(comm_, job_.files(rank_), clock_, *node_,
                                                 node_->is_worker() ? &dense_ : nullptr, writer);
    return {};
  }

  Status Work() {
    Worker::Hooks hooks;
    hooks.boundary = [this](const AgreedHeader& header) { return Boundary(header); };
    const auto at = std::find(roles_.workers.begin(), roles_.workers.end(), comm_.rank());
    Worker worker(job_.plan, node_->client(), static_cast<int>(at - roles_.workers.begin()),
                  static_cast<int>(roles_.workers.size()), pool_, hooks);
    return worker.Run();
  }

  Status Boundary(const AgreedHeader& header) {
    dense_.MoveTo(header.step);
    dense_.no_memory = header.step == job_.no_memory_at;
    cursor_.set_step(header.step);
    if (node_->is_worker()) cursor_ = CursorAt(header.step, rank_);
    Record(header.step);
    job_.before({rank_, header.step, *writer_});
    TRESTLE_ASSIGN_OR_RETURN(const auto report, writer_->AtBoundary(header, cursor_));
    Keep(report, header.step);
    job_.after({rank_, header.step, *writer_});
    return {};
  }

  void Record(int64_t step) {
    std::lock_guard lock(mutex_);
    std::vector<uint64_t>& digests = outcome_.digests[step];
    std::vector<uint64_t>& rows = outcome_.rows[step];
    digests.resize(job_.plan.tables.size());
    rows.resize(job_.plan.tables.size());
    for (size_t t = 0; t < node_->tables().size(); ++t) {
      digests[t] += node_->tables()[t]->Digest();
      rows[t] += static_cast<uint64_t>(node_->tables()[t]->rows());
    }
  }

  void Keep(const std::optional<CheckpointReport>& report, int64_t step) {
    if (!report) return;
    std::lock_guard lock(mutex_);
    outcome_.reports[static_cast<size_t>(rank_)].push_back(*report);
    outcome_.reported_at[static_cast<size_t>(rank_)].push_back(step);
  }

  const CheckpointJob& job_;
  const Roles& roles_;
  const Clock& clock_;
  Communicator& comm_;
  const int rank_;
  std::mutex& mutex_;
  CheckpointOutcome& outcome_;
  ThreadPool pool_{1};
  StepDense dense_;
  Cursor cursor_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<CheckpointWriter> writer_;
};

inline Roles RolesOf(JobShape shape) {
  auto roles = AssignRoles(shape.servers,
                           std::vector<std::string>(static_cast<size_t>(shape.ranks), "host"));
  EXPECT_TRUE(roles.ok()) << roles.status().ToString();
  return *roles;
}

inline CheckpointOutcome RunCheckpointJob(const CheckpointJob& job) {
  const auto ranks = static_cast<size_t>(job.shape.ranks);
  CheckpointOutcome outcome;
  outcome.statuses.resize(ranks);
  outcome.reports.resize(ranks);
  outcome.reported_at.resize(ranks);
  outcome.last.resize(ranks);
  const Roles roles = RolesOf(job.shape);
  const FakeClock stands;
  const Clock& clock = job.clock ? *job.clock : stands;
  std::mutex mutex;
  const auto body = [&](Communicator& comm) -> Status {
    const Status status = CheckpointRank(job, roles, clock, comm, &mutex, &outcome).Run();
    std::lock_guard lock(mutex);
    outcome.statuses[static_cast<size_t>(comm.rank().value)] = status;
    return {};
  };
  const Status ran = RunThreadRanks(job.shape.ranks, body, {std::chrono::seconds(60)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  for (const Status& status : outcome.statuses) EXPECT_TRUE(status.ok()) << status.ToString();
  return outcome;
}

// Digests of the tables restored from a checkpoint onto so many ranks.
inline std::vector<uint64_t> RestoredDigests(FileSystem& fs, const std::string& path,
                                             const Plan& plan, JobShape shape) {
  std::vector<uint64_t> digests(plan.tables.size());
  const Roles roles = RolesOf(shape);
  std::mutex mutex;
  const auto body = [&](Communicator& comm) -> Status {
    ThreadPool pool(1);
    NodeOptions options;
    options.roles = roles;
    options.tables = plan.tables;
    options.slot_tables = plan.slot_tables;
    TRESTLE_ASSIGN_OR_RETURN(const auto node, MakeNode(comm, options, &pool));
    TRESTLE_ASSIGN_OR_RETURN(const auto reader, CheckpointReader::Open(fs, path));
    const auto all = [](const std::string&) { return true; };
    TRESTLE_RETURN_IF_ERROR(RestoreTables(*reader, all, node.get()));
    std::lock_guard lock(mutex);
    for (size_t t = 0; t < node->tables().size(); ++t) digests[t] += node->tables()[t]->Digest();
    return {};
  };
  const Status ran = RunThreadRanks(shape.ranks, body, {std::chrono::seconds(60)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  return digests;
}

}  // namespace trestle::testing
