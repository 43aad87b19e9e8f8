// A small job for tests of the exchange: random batches that are functions of a seed, a worker and
// a server as the real ones are (keys prepared ahead on a thread of their own), and n ranks of them
// as threads. What it returns is compared between sizes of job and with a plain model.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "comm/thread_communicator.h"
#include "embedding/table.h"
#include "ps/node.h"

namespace trestle::testing {

struct Plan {
  uint64_t seed = 1;
  int lanes = 7;
  int steps = 4;        // training
  int evaluations = 2;  // steps of evaluation after it
  int64_t bad_step = -1;
  std::vector<TableSpec> tables;
  std::vector<int> slot_tables;
};

inline TableSpec Spec(const std::string& name, int dim, bool adam) {
  Table table;
  table.set_name(name);
  table.set_dim(dim);
  table.mutable_initializer()->mutable_normal()->set_std(0.1f);
  if (adam) {
    table.mutable_optimizer()->mutable_adam()->set_lr(0.05f);
  } else {
    table.mutable_optimizer()->mutable_adagrad()->set_lr(0.1f);
  }
  auto spec = MakeTableSpec(table, 17);
  EXPECT_TRUE(spec.ok()) << spec.status().ToString();
  return *spec;
}

// Three tables of different widths, one of which two slots share and one of which has no slot.
inline Plan SmallPlan(uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.tables = {Spec("item", 16, false), Spec("user", 5, true), Spec("idle", 4, false)};
  plan.slot_tables = {0, 1, 0};
  return plan;
}

inline std::mt19937_64 RandomFor(const Plan& plan, Action action, int64_t step, int lane) {
  std::seed_seq seq{plan.seed, static_cast<uint64_t>(action), static_cast<uint64_t>(step),
                    static_cast<uint64_t>(lane)};
  return std::mt19937_64(seq);
}

// A lane's keys: some lanes have no rows or one, some rows no keys; keys repeat within and over
// lanes.
inline LaneKeys MakeLane(const Plan& plan, Action action, int64_t step, int lane) {
  std::mt19937_64 random = RandomFor(plan, action, step, lane);
  const uint64_t kind = random() % 6;
  const size_t rows = kind == 0 ? 0 : kind == 1 ? 1 : 5 + random() % 20;
  LaneKeys keys(plan.slot_tables.size());
  for (size_t s = 0; s < keys.size(); ++s) {
    for (size_t b = 0; b < rows; ++b) {
      const size_t length = s == 2 ? random() % 7 : 1;
      for (size_t i = 0; i < length; ++i) {
        const uint64_t range = action == Action::kEvaluate ? 90 : 60;
        const uint64_t hot = random() % 2 ? 6 : range;
        keys[s].keys.push_back(Key{random() % hot});
      }
      keys[s].offsets.push_back(static_cast<int32_t>(keys[s].keys.size()));
    }
  }
  return keys;
}

// The gradient of a slot: depends on the rows, so that a wrong bit anywhere spreads.
inline std::vector<float> MakeGradient(const Plan& plan, int64_t step, int lane, int slot,
                                       const std::vector<float>& rows) {
  std::mt19937_64 random = RandomFor(plan, Action::kTrain, step, lane + 1000 * (slot + 1));
  std::vector<float> gradient(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const float noise = static_cast<float>(static_cast<int32_t>(random())) * 0x1p-31f;
    gradient[i] = 0.3f * rows[i] + noise * (random() % 4 == 0 ? 1e-4f : 1.0f);
  }
  const bool bad = step == plan.bad_step && lane == plan.lanes - 2 && !gradient.empty();
  if (bad) gradient[0] = std::numeric_limits<float>::quiet_NaN();
  return gradient;
}

inline int64_t LaneRowCount(const LaneKeys& lane) {
  return static_cast<int64_t>(lane[0].offsets.size()) - 1;
}

// What a job comes to. All of it is a function of the plan alone.
struct Outcome {
  std::vector<uint64_t> digests;                       // of each table, over its shards
  std::vector<int64_t> rows;                           // of each table
  std::map<std::string, std::vector<float>> gathered;  // by action, step, lane and slot
  int64_t unseen_occurrences = 0;
  std::vector<bool> applied;  // of each training step
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct JobShape {
  int ranks = 1;
  int servers = 0;
  int threads = 1;
};

inline std::string GatherName(Action action, int64_t step, int lane, int slot) {
  return std::to_string(static_cast<int>(action)) + "/" + std::to_string(step) + "/" +
         std::to_string(lane) + "/" + std::to_string(slot);
}

// Of a schedule that no two steps share.
inline float LrFactor(int64_t step) { return 1.0f / static_cast<float>(step); }

// A worker's two threads. Its hooks let a test fail where it likes.
class Worker {
 public:
  struct Hooks {
    std::function<void(StepHeader*)> header = [](StepHeader*) {};
    std::function<Status(Action, int64_t)> keys = [](Action, int64_t) { return Status(); };
    std::function<Status(int64_t)> compute = [](int64_t) { return Status(); };
    // After a training step.
    std::function<Status(const AgreedHeader&)> boundary = [](const AgreedHeader&) {
      return Status();
    };
  };

  Worker(const Plan& plan, Client& client, int index, int count, ThreadPool& pool, Hooks hooks)
      : plan_(plan),
        client_(client),
        pool_(pool),
        hooks_(std::move(hooks)),
        first_lane_(plan.lanes * index / count),
        end_lane_(plan.lanes * (index + 1) / count) {}

  Status Run() {
    std::thread keys([this] { PrepareAll(); });
    const Status main = Main();
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      queue_.clear();
    }
    changed_.notify_all();
    keys.join();
    return main.ok() ? keys_status_ : main;
  }

  Outcome outcome;

 private:
  void PrepareAll() {
    for (int64_t step = 1; step <= plan_.steps; ++step) {
      if (!PrepareOne(Action::kTrain, step)) return;
    }
    if (!PrepareOne(Action::kEndPass, plan_.steps)) return;
    for (int64_t step = 1; step <= plan_.evaluations; ++step) {
      if (!PrepareOne(Action::kEvaluate, step)) return;
    }
    if (!PrepareOne(Action::kEndPass, plan_.evaluations)) return;
    PrepareOne(Action::kStop, plan_.steps);
  }

  bool PrepareOne(Action action, int64_t step) {
    StepHeader header{action, step, 0, 0, false};
    header.lr_factor = LrFactor(step);
    std::vector<LaneKeys> lanes;
    if (action == Action::kTrain || action == Action::kEvaluate) {
      for (int lane = first_lane_; lane < end_lane_; ++lane) {
        lanes.push_back(MakeLane(plan_, action, step, lane));
        header.rows += LaneRowCount(lanes.back());
      }
    }
    hooks_.header(&header);
    auto lookup = client_.Prepare(header, std::move(lanes), hooks_.keys(action, step));
    std::unique_lock lock(mutex_);
    if (!lookup.ok()) {
      keys_status_ = lookup.status();
      done_ = true;
    } else if (action == Action::kTrain || action == Action::kEvaluate) {
      changed_.wait(lock, [this] { return queue_.size() < 2 || stopped_; });
      if (!stopped_) queue_.push_back(*std::move(lookup));
    } else {
      done_ = action == Action::kStop;
    }
    changed_.notify_all();
    return !done_;
  }

  Status Main() {
    while (true) {
      std::unique_ptr<Lookup> lookup;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !queue_.empty() || done_; });
        if (queue_.empty()) return {};
        lookup = std::move(queue_.front());
        queue_.pop_front();
      }
      changed_.notify_all();
      TRESTLE_RETURN_IF_ERROR(Step(*lookup));
    }
  }

  Status Step(Lookup& lookup) {
    const AgreedHeader& header = lookup.header();
    TRESTLE_RETURN_IF_ERROR(client_.Pull(lookup));
    const bool training = header.action == Action::kTrain;
    std::mutex mutex;
    pool_.ParallelFor(end_lane_ - first_lane_, [&](int64_t index, int) {
      const int lane = static_cast<int>(index);
      for (int slot = 0; slot < static_cast<int>(plan_.slot_tables.size()); ++slot) {
        const int dim = plan_.tables[static_cast<size_t>(plan_.slot_tables[slot])].dim;
        std::vector<float> rows(static_cast<size_t>(lookup.offsets(lane, slot).back() * dim));
        lookup.Gather(lane, slot, rows.data());
        if (training) {
          const auto gradient = MakeGradient(plan_, header.step, first_lane_ + lane, slot, rows);
          lookup.Accumulate(lane, slot, gradient.data());
        }
        std::lock_guard lock(mutex);
        outcome.gathered[GatherName(header.action, header.step, first_lane_ + lane, slot)] = rows;
      }
    });
    outcome.unseen_occurrences += lookup.unseen_occurrences();
    if (!training) return {};
    auto pushed = client_.Push(lookup, false, hooks_.compute(header.step));
    TRESTLE_RETURN_IF_ERROR(pushed.status());
    outcome.applied.push_back(pushed->applied);
    return hooks_.boundary(header);
  }

  const Plan& plan_;
  Client& client_;
  ThreadPool& pool_;
  Hooks hooks_;
  const int first_lane_, end_lane_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Lookup>> queue_;
  Status keys_status_;
  bool done_ = false;
  bool stopped_ = false;
};

// What one rank does and with what it fails. statuses[r] is what rank r returned; the ranks' bodies
// themselves return OK, so that no abort helps a rank which would have hung.
struct JobResult {
  Outcome outcome;
  std::vector<Status> statuses;
};

using HooksFor = std::function<Worker::Hooks(int rank)>;
using FactoryFor = std::function<TableFactory(int rank)>;

inline JobResult RunJob(
    const Plan& plan, JobShape shape, const HooksFor& hooks = [](int) { return Worker::Hooks{}; },
    const FactoryFor& factory = [](int) { return TableFactory(MakeCpuTable); }) {
  JobResult result;
  result.statuses.resize(static_cast<size_t>(shape.ranks));
  result.outcome.digests.resize(plan.tables.size());
  result.outcome.rows.resize(plan.tables.size());
  const auto roles = AssignRoles(
      shape.servers, std::vector<std::string>(static_cast<size_t>(shape.ranks), "host"));
  EXPECT_TRUE(roles.ok());
  std::mutex mutex;
  const auto body = [&](Communicator& comm) -> Status {
    const int rank = comm.rank().value;
    ThreadPool pool(shape.threads);
    NodeOptions options;
    options.roles = *roles;
    options.tables = plan.tables;
    options.slot_tables = plan.slot_tables;
    options.make_table = factory(rank);
    TRESTLE_ASSIGN_OR_RETURN(auto node, MakeNode(comm, options, &pool));
    Outcome own;
    Status status;
    if (node->is_worker()) {
      const auto& workers = roles->workers;
      const auto at = std::find(workers.begin(), workers.end(), comm.rank());
      Worker worker(plan, node->client(), static_cast<int>(at - workers.begin()),
                    static_cast<int>(workers.size()), pool, hooks(rank));
      status = worker.Run();
      own = std::move(worker.outcome);
    } else {
      status = node->Serve();
    }
    std::lock_guard lock(mutex);
    result.statuses[static_cast<size_t>(rank)] = status;
    for (size_t t = 0; t < node->tables().size(); ++t) {
      result.outcome.digests[t] += node->tables()[t]->Digest();
      result.outcome.rows[t] += node->tables()[t]->rows();
    }
    result.outcome.gathered.merge(own.gathered);
    result.outcome.unseen_occurrences += own.unseen_occurrences;
    if (node->is_worker()) result.outcome.applied = own.applied;
    return {};
  };
  const Status ran = RunThreadRanks(shape.ranks, body, {std::chrono::seconds(60)});
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  return result;
}

}  // namespace trestle::testing
