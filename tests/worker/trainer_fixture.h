// A job of n ranks as threads that trains for real: Parquet files, the CPU backend, CPU tables,
// workers and dedicated servers. Hooks let a test fail it where it likes.
//
// Ranks return what they end with, and the ranks' bodies return OK, so that no abort frees a rank
// which would have waited for ever. A wait that ended at the deadline shows in `whole`: the
// communicator of that rank is broken then, whatever status came of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "comm/thread_communicator.h"
#include "ps/node.h"
#include "tests/support/fake_clock.h"
#include "tests/worker/input_fixture.h"
#include "worker/trainer.h"

namespace trestle {

struct JobShape {
  int ranks = 1;
  int servers = 0;  // dedicated
  int threads = 1;
};

inline std::string Name(const JobShape& shape) {
  return std::to_string(shape.ranks) + " ranks, " + std::to_string(shape.servers) + " servers, " +
         std::to_string(shape.threads) + " threads";
}

// Delegates to a backend, spoiling what a test asks for.
class SpoiledBackend final : public DenseBackend {
 public:
  enum class Spoil {
    kNothing,
    kDense,      // a NaN label: the loss and all gradients of the lane are NaN
    kEmbedding,  // a gradient of an embedding row that is not finite, nothing else
    kLogits,     // a NaN prediction in evaluation
  };
  struct Where {
    Spoil spoil = Spoil::kNothing;
    std::function<bool(int64_t step)> at = [](int64_t) { return true; };
    int lane = 0;
  };

  SpoiledBackend(std::unique_ptr<DenseBackend> backend, Where where)
      : backend_(std::move(backend)), where_(std::move(where)) {}

  void BeginStep() override { backend_->BeginStep(); }
  void RunLane(int thread, LanePosition position, bool training, LaneTensors& lane) override {
    const bool here = position.lane == where_.lane && where_.at(position.step) && lane.rows > 0;
    const Spoil spoil = here ? where_.spoil : Spoil::kNothing;
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> nan_labels(static_cast<size_t>(lane.rows), kNan);
    const float* const labels = lane.labels;
    if (training && spoil == Spoil::kDense) lane.labels = nan_labels.data();
    backend_->RunLane(thread, position, training, lane);
    lane.labels = labels;
    if (training && spoil == Spoil::kEmbedding) lane.slots[0].gradient[0] = kNan;
    if (!training && spoil == Spoil::kLogits) lane.logits[0] = kNan;
  }
  bool bad(std::string* what) const override { return backend_->bad(what); }
  std::span<int64_t> Sums() override { return backend_->Sums(); }
  StepTotals Totals() const override { return backend_->Totals(); }
  void ApplyStep(int64_t step, float lr_factor) override { backend_->ApplyStep(step, lr_factor); }
  const ParameterSet& parameters() const override { return backend_->parameters(); }
  const StatisticSet& statistics() const override { return backend_->statistics(); }
  FixedUnit unit() const override { return backend_->unit(); }
  ModelOutputSpec outputs() const override { return backend_->outputs(); }
  uint64_t Digest() const override { return backend_->Digest(); }
  std::vector<std::pair<FlatSlice, std::span<float>>> State() override { return backend_->State(); }

 private:
  const std::unique_ptr<DenseBackend> backend_;
  const Where where_;
};

// A table that refuses the n-th Pull.
class FullTable final : public EmbeddingTable {
 public:
  FullTable(std::unique_ptr<EmbeddingTable> table, int fail_pull)
      : table_(std::move(table)), pulls_left_(fail_pull) {}
  const TableSpec& spec() const override { return table_->spec(); }
  int64_t rows() const override { return table_->rows(); }
  int64_t bytes() const override { return table_->bytes(); }
  int state_width() const override { return table_->state_width(); }
  Result<int64_t> Pull(std::span<const Key> keys, Missing missing, std::span<float> weights,
                       std::span<RowHandle> handles) override {
    if (--pulls_left_ == 0) return Status(StatusCode::kOutOfMemory, "table is full");
    return table_->Pull(keys, missing, weights, handles);
  }
  Status Push(std::span<const RowHandle> handles, std::span<const float> gradients,
              std::span<const KeyCounts> counts, int64_t step, float lr_factor) override {
    return table_->Push(handles, gradients, counts, step, lr_factor);
  }
  Status ForEachRow(uint32_t begin, uint32_t end,
                    const std::function<Status(const RowView&)>& visit) const override {
    return table_->ForEachRow(begin, end, visit);
  }
  Result<std::unique_ptr<TableSnapshot>> Snapshot(std::shared_ptr<SnapshotMemory> memory) override {
    return table_->Snapshot(std::move(memory));
  }
  Status Insert(std::span<const RowView> rows) override { return table_->Insert(rows); }
  uint64_t Digest() const override { return table_->Digest(); }

 private:
  const std::unique_ptr<EmbeddingTable> table_;
  int pulls_left_;
};

class TrainingJob {
 public:
  static constexpr int64_t kRows = 331;
  static constexpr int64_t kBatch = 32;  // 11 steps; the last has 11 rows, so lanes of 2 and 3
  static constexpr int64_t kSteps = (kRows + kBatch - 1) / kBatch;
  static constexpr int kLanes = 5;

  struct RankState {
    int rank;
    Node& node;
    DenseBackend& backend;
    const Dataset& train;
    const Dataset& test;
    Communicator& comm;
    const Roles& roles;
  };
  // What a rank ends with.
  struct RankResult {
    Status status;
    bool whole = false;  // the communicator still works
  };
  struct Outcome {
    std::vector<RankResult> ranks;
    uint64_t dense = 0;  // of the first worker
    uint64_t tables = 0;
    int64_t table_rows = 0;
    std::vector<PassResult> passes;  // of the first worker, as are the metrics
    std::vector<Evaluation> evaluations;
  };

  // Hooks; all but `drive` have a default that changes nothing.
  SpoiledBackend::Where spoil;
  Train::OnBadStep on_bad_step = Train::STOP;
  std::function<void(int rank, TrainerOptions*)> options = [](int, TrainerOptions*) {};
  std::function<FileSystem&(int rank)> files = [](int) -> FileSystem& {
    return FileSystem::Local();
  };
  int full_table_rank = -1;  // whose tables refuse pull number full_table_pull
  int full_table_pull = 0;
  std::function<void(Node&)> prepare = [](Node&) {};       // every rank's, before the first step
  std::function<Status(const AgreedHeader&)> at_boundary;  // dedicated servers', if any
  // What a worker does between its start and Stop.
  std::function<Status(Trainer&, RankState&, Outcome*)> drive;

  TrainingJob() { WriteData(3); }

  // Labels: 1 in every `label_period`-th row; 0: never.
  void WriteData(int64_t label_period) {
    Write("train.parquet", kRows, label_period, 0);
    // Holds users and items that training never saw, each item in many rows of every batch.
    Write("test.parquet", 97, 3, 20);
  }
  // Lines of the reject file of rank 0.
  std::string Rejects() const {
    const auto text = FileSystem::Local().Read(dir_.Join("rejected-0.tsv"));
    return text.ok() ? *text : text.status().ToString();
  }
  std::string train_file() const { return dir_.Join("train.parquet"); }
  // A label that no row may have, in these rows.
  void SpoilLabels(const std::set<int64_t>& rows) { Write("train.parquet", kRows, 3, 0, rows); }

  Outcome Run(const JobShape& shape) {
    Outcome outcome;
    outcome.ranks.resize(static_cast<size_t>(shape.ranks));
    const auto roles = AssignRoles(
        shape.servers, std::vector<std::string>(static_cast<size_t>(shape.ranks), "host"));
    CHECK(roles.ok()) << roles.status().ToString();
    std::mutex mutex;
    const auto body = [&](Communicator& comm) -> Status {
      const Status status = RunRank(comm, *roles, shape, &mutex, &outcome);
      // Waits for the others, and fails if one of the streams passed its deadline.
      const Status whole = comm.Barrier({Stream::kControl, "after the job"});
      std::lock_guard lock(mutex);
      outcome.ranks[static_cast<size_t>(comm.rank().value)] = {status, whole.ok()};
      return {};
    };
    const Status ran = RunThreadRanks(shape.ranks, body, {std::chrono::seconds(20)});
    EXPECT_TRUE(ran.ok()) << ran.ToString();
    return outcome;
  }

  // Trains two epochs, evaluating after each.
  static Status TrainTwice(Trainer& trainer, RankState& state, Outcome* outcome) {
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      TRESTLE_ASSIGN_OR_RETURN(PassResult pass, trainer.TrainEpoch(state.train, epoch, 2));
      outcome->passes.push_back(pass);
      TRESTLE_ASSIGN_OR_RETURN(Evaluation evaluation, trainer.Evaluate(state.test, "test"));
      outcome->evaluations.push_back(std::move(evaluation));
    }
    return {};
  }

  Schema schema = SchemaOf(R"(label: "y" group: "user")",
                           R"(id { columns: ["user", "item"] dim: 4 }
                              sequence { columns: "hist" like: "item" }
                              numeric { columns: "price" })");

  std::string model = R"(din { candidate: "item" history: "hist"
      attention { units: [6] activation: DICE }
      mlp { units: [8, 4] activation: DICE dropout: 0.2 } })";

  BackendOptions Backend(int threads) const {
    BackendOptions backend;
    backend.model = Parse<Model>(model);
    backend.optimizer = Parse<DenseOptimizer>("adam { lr: 0.01 }");
    for (const Slot& slot : schema.slots) {
      backend.inputs.slots.push_back(
          {slot.column, schema.tables[slot.table].dim, slot.sequence_group, slot.pooling});
    }
    backend.inputs.numeric_width = 1;
    backend.seed = 7;
    backend.threads = threads;
    backend.lane_rows = (kBatch + kLanes - 1) / kLanes;
    return backend;
  }

 private:
  void Write(const std::string& name, int64_t rows, int64_t period, int64_t offset,
             const std::set<int64_t>& bad_rows = {}) {
    std::vector<int64_t> user, item, label;
    std::vector<double> price;
    std::vector<std::vector<int64_t>> history;
    for (int64_t i = 0; i < rows; ++i) {
      user.push_back(i * 5 % 41 + offset);
      item.push_back(offset ? 500 + i % 3 : i * 7 % 53);
      label.push_back(bad_rows.contains(i) ? 2 : period > 0 && i % period == 0);
      price.push_back(0.25 * static_cast<double>(i % 11));
      history.emplace_back();
      for (int64_t h = 0; h < i % 5; ++h) history.back().push_back((i * 3 + h) % 53);
    }
    WriteParquet(dir_.Join(name),
                 {{"user", Int64s(user)},
                  {"item", Int64s(item)},
                  {"hist", Int64Lists(history)},
                  {"price", Doubles(price)},
                  {"y", Int64s(label)}},
                 100);
  }

  NodeOptions MakeNodeOptions(const Roles& roles, int rank) const {
    NodeOptions node;
    node.roles = roles;
    node.fail_bad_steps = on_bad_step == Train::STOP;
    node.at_boundary = at_boundary;
    for (const TableColumn& column : schema.tables) {
      auto spec = MakeTableSpec(
          Parse<Table>("name: \"" + column.name + "\" dim: " + std::to_string(column.dim) +
                       " initializer { normal { std: 0.1 } } optimizer { adam { lr: 0.01 } }"),
          7);
      CHECK(spec.ok()) << spec.status().ToString();
      node.tables.push_back(*spec);
    }
    for (const Slot& slot : schema.slots) node.slot_tables.push_back(slot.table);
    if (rank == full_table_rank) {
      node.make_table = [fail = full_table_pull](
                            TableSpec spec,
                            ThreadPool* pool) -> Result<std::unique_ptr<EmbeddingTable>> {
        TRESTLE_ASSIGN_OR_RETURN(auto table, MakeCpuTable(std::move(spec), pool));
        return std::unique_ptr<EmbeddingTable>(std::make_unique<FullTable>(std::move(table), fail));
      };
    }
    return node;
  }

  Status RunRank(Communicator& comm, const Roles& roles, const JobShape& shape, std::mutex* mutex,
                 Outcome* outcome) {
    ThreadPool pool(shape.threads);
    auto node = MakeNode(comm, MakeNodeOptions(roles, comm.rank().value), &pool);
    CHECK(node.ok()) << node.status().ToString();
    prepare(**node);
    Outcome own;
    const Status status =
        (*node)->is_worker() ? RunWorker(comm, roles, shape, pool, **node, &own) : (*node)->Serve();
    std::lock_guard lock(*mutex);
    for (const EmbeddingTable* table : (*node)->tables()) {
      outcome->tables += table->Digest();
      outcome->table_rows += table->rows();
    }
    if (comm.rank() == roles.workers.front()) {
      outcome->dense = own.dense;
      outcome->passes = own.passes;
      outcome->evaluations = own.evaluations;
    }
    return status;
  }

  Status RunWorker(Communicator& comm, const Roles& roles, const JobShape& shape, ThreadPool& pool,
                   Node& node, Outcome* own) {
    const int rank = comm.rank().value;
    auto real = MakeCpuBackend(Backend(shape.threads));
    CHECK(real.ok()) << real.status().ToString();
    SpoiledBackend backend(*std::move(real), spoil);
    const auto train = MustOpen(schema, {dir_.Join("train.parquet")});
    Schema unweighted = schema;
    unweighted.weight.clear();
    const auto test = MustOpen(unweighted, {dir_.Join("test.parquet")});
    FakeClock clock;
    const auto log = RunLog::Open(FileSystem::Local(), "", clock);
    Progress progress({}, clock, **log);
    TrainerOptions settings;
    settings.workers = static_cast<int>(roles.workers.size());
    settings.worker = static_cast<int>(
        std::find(roles.workers.begin(), roles.workers.end(), comm.rank()) - roles.workers.begin());
    settings.batch_rows = kBatch;
    settings.lanes = kLanes;
    settings.seed = 7;
    settings.reject_path = dir_.Join("rejected-" + std::to_string(rank) + ".tsv");
    settings.on_bad_step = on_bad_step;
    options(rank, &settings);
    Trainer trainer(node.client(), backend, comm, pool, progress, files(rank), settings);
    RankState state{rank, node, backend, *train, *test, comm, roles};
    const Status driven = drive(trainer, state, own);
    own->dense = backend.Digest();
    TRESTLE_RETURN_IF_ERROR(driven);
    return trainer.Stop();
  }

  TempDir dir_{"trainer"};
};

}  // namespace trestle
