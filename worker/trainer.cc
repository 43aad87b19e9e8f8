#include "worker/trainer.h"

#include <algorithm>

#include "worker/negative_keep.h"

namespace trestle {
namespace {

int64_t CountPositives(const std::vector<LaneRows>& lanes) {
  int64_t count = 0;
  for (const LaneRows& lane : lanes) {
    count += std::count(lane.labels.begin(), lane.labels.end(), 1.0f);
  }
  return count;
}

Status CheckPass(const Dataset& dataset, const PassResult& result) {
  const Ledger& ledger = result.ledger;
  if (ledger.read != dataset.rows() || ledger.hash != dataset.ExpectedHash()) {
    return {StatusCode::kInternal, "the ledger does not close: " + std::to_string(ledger.read) +
                                       " rows read, " + std::to_string(dataset.rows()) +
                                       " expected, or not the same rows"};
  }
  const bool labelled = !dataset.schema().label.empty();
  if (labelled && (result.positives == 0 || result.positives == result.rows)) {
    return {StatusCode::kInvalidData,
            dataset.files().front().path + " and the files with it: none of the " +
                std::to_string(result.rows) + " rows has label " +
                (result.positives == 0 ? "1" : "0") + " in column \"" + dataset.schema().label +
                "\": nothing to learn or to rank; check data.label" +
                (ledger.left_out > 0 ? " and data.negative_keep" : "")};
  }
  return {};
}

// What an evaluation sums up.
class EvaluateSums final : public EvaluationVisitor {
 public:
  explicit EvaluateSums(const Schema& schema)
      : metrics(!schema.group.empty()), slices(schema.slices) {}
  Status OnStep(const PreparedStep& step, std::span<const std::vector<float>> logits) override {
    for (size_t lane = 0; lane < step.lanes.size(); ++lane) {
      const LaneRows& rows = step.lanes[lane];
      metrics.Add(logits[lane], rows.labels, rows.groups);
      slices.Add(logits[lane], rows.labels, rows.slices);
    }
    return {};
  }

  MetricsAccumulator metrics;
  SliceAccumulator slices;
};

}  // namespace

// Grows to the largest lane met and stays: a steady state allocates nothing.
struct Trainer::LaneBuffers {
  std::vector<std::vector<float>> values;  // a slot each
  std::vector<std::vector<float>> gradients;
  LaneTensors tensors;
};

Trainer::Trainer(Client& client, DenseBackend& backend, Communicator& comm, ThreadPool& pool,
                 Progress& progress, FileSystem& fs, TrainerOptions options)
    : client_(client),
      backend_(backend),
      comm_(comm),
      pool_(pool),
      progress_(progress),
      fs_(fs),
      options_(std::move(options)),
      first_lane_(static_cast<int>(int64_t{options_.lanes} * options_.worker / options_.workers)),
      end_lane_(
          static_cast<int>(int64_t{options_.lanes} * (options_.worker + 1) / options_.workers)),
      step_(options_.steps_done),
      logits_(static_cast<size_t>(end_lane_ - first_lane_)) {
  for (int t = 0; t < pool_.size(); ++t) buffers_.push_back(std::make_unique<LaneBuffers>());
}

Trainer::~Trainer() = default;

Result<std::unique_ptr<LaneReader>> Trainer::OpenReader(const Dataset& dataset, Order order,
                                                        int64_t segment, int64_t epoch,
                                                        int64_t first_step, double negative_keep) {
  schema_ = &dataset.schema();
  PlanOptions plan;
  plan.order = order;
  plan.seed = options_.seed;
  plan.segment = segment;
  plan.epoch = epoch;
  plan.first_step = first_step;
  plan.batch_rows = options_.batch_rows;
  plan.lanes = options_.lanes;
  plan.first_lane = first_lane_;
  plan.end_lane = end_lane_;
  plan.statistics = options_.statistics;
  plan.bounds = options_.bounds;
  plan.negative_keep = negative_keep;
  if (recorded_.insert(&dataset).second) plan.reject_path = options_.reject_path;
  return OpenLanes(dataset, plan, fs_);
}

Result<PassResult> Trainer::TrainEpoch(const Dataset& dataset, int64_t epoch, int64_t epochs,
                                       const EpochProgress& done, const EpochPauses& pauses) {
  auto reader = OpenReader(dataset, options_.order, options_.segment, epoch, done.steps,
                           options_.negative_keep);
  if (!reader.ok()) return Tell(reader.status());
  const std::string name = "epoch " + std::to_string(epoch + 1) + "/" + std::to_string(epochs);
  EpochProgress progress = done;
  PassResult result;
  result.complete = progress.steps == (*reader)->steps();
  const auto pause = [&]() -> Result<bool> {
    TRESTLE_ASSIGN_OR_RETURN(const bool goes_on, pauses.at_pause(step_));
    schema_ = &dataset.schema();  // an evaluation has another
    return goes_on;
  };
  bool goes_on = step_ < pauses.last_step;
  const bool resumed = !result.complete && done.steps > 0;
  if (resumed && goes_on && pauses.every_steps > 0 && step_ % pauses.every_steps == 0) {
    TRESTLE_ASSIGN_OR_RETURN(goes_on, pause());
  }
  while (goes_on) {
    progress_.BeginPass(name, (*reader)->steps() - progress.steps);
    TRESTLE_RETURN_IF_ERROR(
        TrainToPause(**reader, epoch, epochs, done.ledger, pauses, &progress, &result));
    goes_on =
        !result.complete && !result.stopped && !result.out_of_time && step_ < pauses.last_step;
    if (!goes_on) break;
    TRESTLE_ASSIGN_OR_RETURN(goes_on, pause());
  }
  result.steps = progress.steps;
  result.skipped_steps = progress.skipped_steps;
  result.rows = progress.rows;
  result.loss =
      progress.applied_rows ? progress.loss_sum / static_cast<double>(progress.applied_rows) : 0;
  TRESTLE_RETURN_IF_ERROR(result.costs.SumOver(comm_, {Stream::kDense, "costs", step_}));
  TRESTLE_RETURN_IF_ERROR(ClosePass(dataset, progress.ledger, progress.positives, &result));
  return result;
}

Status Trainer::TrainToPause(LaneReader& reader, int64_t epoch, int64_t epochs,
                             const Ledger& before, const EpochPauses& pauses,
                             EpochProgress* progress, PassResult* result) {
  const int64_t every = pauses.every_steps;
  const int64_t next = every > 0 ? (step_ / every + 1) * every : pauses.last_step;
  const TrafficMeter traffic(comm_, options_.dedicated_servers);
  StepQueue queue(client_, reader,
                  {Action::kTrain, step_ + 1, options_.max_bad_rows, options_.stop_requested,
                   before, options_.out_of_time, std::min(next, pauses.last_step),
                   LrFactors(epoch, RunSteps(epochs, reader, pauses))});
  const Status trained = TrainSteps(queue, epoch, progress, &result->costs);
  progress_.EndPass();
  if (!trained.ok()) queue.Abandon(trained);
  TRESTLE_RETURN_IF_ERROR(trained);
  traffic.AddTo(&result->costs);  // the queue's thread has said its last
  result->complete = progress->steps == reader.steps();
  result->stopped = queue.stopped() && !result->complete;
  result->out_of_time = queue.out_of_time() && !result->complete && !result->stopped;
  return {};
}

// Of the segment, if it is not stopped.
int64_t Trainer::RunSteps(int64_t epochs, const LaneReader& reader,
                          const EpochPauses& pauses) const {
  return std::min(epochs * reader.steps(), pauses.last_step - options_.steps_before_segment);
}

// Of the steps of an epoch, by their numbers.
std::function<float(int64_t)> Trainer::LrFactors(int64_t epoch, int64_t run_steps) const {
  return [this, epoch, run_steps](int64_t step) {
    return LrFactor(options_.schedule, {step - options_.steps_before_segment, epoch, run_steps});
  };
}

Status Trainer::TrainSteps(StepQueue& queue, int64_t epoch, EpochProgress* progress,
                           StepCosts* costs) {
  PhaseTimer timer(*options_.clock, costs);
  while (true) {
    TRESTLE_ASSIGN_OR_RETURN(auto prepared, queue.Next());
    timer.End(StepPhase::kInput);
    if (!prepared) return {};
    costs->AddKeys(*prepared->lookup);
    TRESTLE_RETURN_IF_ERROR(TrainStep(*prepared, progress, &timer));
    if (options_.at_boundary) {
      TRESTLE_RETURN_IF_ERROR(options_.at_boundary({prepared->lookup->header(), epoch, *progress}));
    }
    timer.End(StepPhase::kRest);
  }
}

Status Trainer::TrainStep(PreparedStep& prepared, EpochProgress* progress, PhaseTimer* timer) {
  const int64_t step = ++step_;
  Lookup& lookup = *prepared.lookup;
  TRESTLE_RETURN_IF_ERROR(client_.Pull(lookup));
  timer->End(StepPhase::kPull);
  RunLanes(prepared, nullptr);
  timer->End(StepPhase::kCompute);
  TRESTLE_RETURN_IF_ERROR(
      comm_.AllReduceSum({Stream::kDense, "dense gradients", step}, backend_.Sums()));
  timer->End(StepPhase::kAllReduce);
  const Status terms = CheckTerms();
  const bool stop = options_.on_bad_step == Train::STOP;
  TRESTLE_ASSIGN_OR_RETURN(const PushOutcome outcome,
                           client_.Push(lookup, !terms.ok(), stop ? terms : Status()));
  timer->End(StepPhase::kPush);
  const StepTotals totals = outcome.applied ? backend_.Totals() : StepTotals();
  const float lr_factor = lookup.header().lr_factor;
  if (outcome.applied) backend_.ApplyStep(step, lr_factor);
  timer->End(StepPhase::kUpdate);
  ++progress->steps;
  progress->skipped_steps += outcome.applied ? 0 : 1;
  progress->rows += lookup.header().rows;
  progress->applied_rows += totals.rows;
  progress->loss_sum += totals.loss_sum;
  progress->positives += CountPositives(prepared.lanes);
  progress->ledger = prepared.ledger;
  for (size_t lane = 0; lane < prepared.lanes.size() && outcome.applied; ++lane) {
    progress_.AddPredictions(logits_[lane].data(), prepared.lanes[lane].labels.data(),
                             prepared.lanes[lane].rows);
  }
  progress_.Step(step, totals.rows, totals.loss_sum, lr_factor);
  return {};
}

void Trainer::RunLanes(PreparedStep& prepared, EvaluationVisitor* visitor) {
  backend_.BeginStep();
  pool_.ParallelFor(static_cast<int64_t>(prepared.lanes.size()), [&](int64_t lane, int thread) {
    RunLane(prepared, static_cast<int>(lane), thread, visitor);
  });
}

void Trainer::RunLane(PreparedStep& prepared, int lane, int thread, EvaluationVisitor* visitor) {
  const bool training = visitor == nullptr;
  Lookup& lookup = *prepared.lookup;
  LaneBuffers& buffers = *buffers_[thread];
  const LanePosition position{lookup.header().step, first_lane_ + lane};
  FillTensors(prepared, lane, training, &buffers);
  buffers.tensors.outputs = training ? nullptr : visitor->OutputsOf(lane);
  if (!training) {
    const auto run = [&](LaneTensors& tensors) { Predict(thread, position, tensors); };
    run(buffers.tensors);
    visitor->OnLane({lane, position, buffers.tensors, run});
    return;
  }
  backend_.RunLane(thread, position, /*training=*/true, buffers.tensors);
  for (size_t s = 0; s < schema_->slots.size(); ++s) {
    lookup.Accumulate(lane, static_cast<int>(s), buffers.tensors.slots[s].gradient);
  }
}

// Corrects what a model says that saw only some of the negatives.
void Trainer::Predict(int thread, LanePosition position, LaneTensors& lane) {
  backend_.RunLane(thread, position, /*training=*/false, lane);
  if (options_.negative_keep == 1) return;
  const float correction = LogitCorrection(options_.negative_keep);
  for (int64_t row = 0; row < lane.rows; ++row) lane.logits[row] += correction;
}

void Trainer::FillTensors(PreparedStep& prepared, int lane, bool training, LaneBuffers* buffers) {
  const LaneRows& rows = prepared.lanes[lane];
  Lookup& lookup = *prepared.lookup;
  const size_t slots = schema_->slots.size();
  buffers->values.resize(slots);
  buffers->gradients.resize(slots);
  logits_[lane].resize(static_cast<size_t>(rows.rows));
  LaneTensors& tensors = buffers->tensors;
  tensors.slots.resize(slots);
  tensors.rows = rows.rows;
  tensors.numeric = rows.numeric.data();
  tensors.labels = rows.labels.data();
  tensors.weights = rows.weights.empty() ? nullptr : rows.weights.data();
  tensors.logits = logits_[lane].data();
  for (size_t s = 0; s < slots; ++s) {
    const Slot& slot = schema_->slots[s];
    const std::span<const int32_t> offsets = lookup.offsets(lane, static_cast<int>(s));
    SlotTensor& tensor = tensors.slots[s];
    tensor.count = offsets.back();
    tensor.dim = schema_->tables[slot.table].dim;
    tensor.offsets = slot.sequence_group >= 0 ? offsets.data() : nullptr;
    const size_t size = static_cast<size_t>(tensor.count) * tensor.dim;
    if (buffers->values[s].size() < size) buffers->values[s].resize(size);
    if (training && buffers->gradients[s].size() < size) buffers->gradients[s].resize(size);
    tensor.values = buffers->values[s].data();
    tensor.gradient = training ? buffers->gradients[s].data() : nullptr;
    lookup.Gather(lane, static_cast<int>(s), tensor.values);
  }
}

Status Trainer::CheckTerms() const {
  std::string what;
  if (!backend_.bad(&what)) return {};
  return Status(StatusCode::kNumeric,
                what + "; lower the learning rate" +
                    (schema_->weighted() ? " or the weights (data.weight, data.positive_weight)"
                                         : "") +
                    ", set optimizer.dense.clip_norm, or skip such steps with "
                    "train.on_bad_step: SKIP")
      .Wrap("step " + std::to_string(step_));
}

Result<Evaluation> Trainer::Evaluate(const Dataset& dataset, const std::string& name) {
  Evaluation evaluation;
  EvaluateSums sums(dataset.schema());
  TRESTLE_ASSIGN_OR_RETURN(evaluation.pass, Visit(dataset, name, TIME, sums));
  auto metrics = sums.metrics.Compute(comm_, Stream::kDense);
  if (!metrics.ok()) return Tell(metrics.status());
  evaluation.metrics = *std::move(metrics);
  TRESTLE_ASSIGN_OR_RETURN(evaluation.slices, sums.slices.Compute(comm_, Stream::kDense));
  return evaluation;
}

Result<std::optional<Importance>> Trainer::MeasureImportance(const Dataset& dataset,
                                                             const std::string& name) {
  const std::vector<FeatureColumns> all = FeaturesOf(dataset.schema());
  Importance importance;
  for (size_t first = 0; first < all.size(); first += kFeaturesAPass) {
    const size_t end = std::min(first + kFeaturesAPass, all.size());
    ImportanceVisitor visitor(dataset.schema(), options_.seed,
                              std::vector(all.data() + first, all.data() + end));
    TRESTLE_ASSIGN_OR_RETURN(const PassResult pass, Visit(dataset, name, SHUFFLE, visitor));
    if (pass.stopped) return std::optional<Importance>();
    TRESTLE_RETURN_IF_ERROR(Tell(visitor.Compute(comm_, &importance)));
  }
  SortByLoss(&importance);
  return std::optional(std::move(importance));
}

Result<PassResult> Trainer::Visit(const Dataset& dataset, const std::string& name, Order order,
                                  EvaluationVisitor& visitor) {
  TRESTLE_RETURN_IF_ERROR(CompareReplicas());
  auto reader = OpenReader(dataset, order, 0, 0, 0, /*negative_keep=*/1);
  if (!reader.ok()) return Tell(reader.status());
  progress_.BeginPass(name, (*reader)->steps());
  StepQueue queue(client_, **reader,
                  {Action::kEvaluate, 1, options_.max_bad_rows, options_.stop_requested, {}});
  PassResult pass;
  int64_t positives = 0;  // of this worker's rows
  const Status visited = VisitSteps(queue, visitor, &pass, &positives);
  progress_.EndPass();
  if (!visited.ok()) queue.Abandon(visited);
  TRESTLE_RETURN_IF_ERROR(visited);
  pass.stopped = queue.stopped() && pass.steps < (*reader)->steps();
  pass.complete = !pass.stopped;
  TRESTLE_RETURN_IF_ERROR(ClosePass(dataset, (*reader)->ledger(), positives, &pass));
  return pass;
}

Status Trainer::VisitSteps(StepQueue& queue, EvaluationVisitor& visitor, PassResult* result,
                           int64_t* positives) {
  Status failed;  // the visitor; what was prepared by then is still to be pulled
  while (true) {
    TRESTLE_ASSIGN_OR_RETURN(auto prepared, queue.Next());
    if (!prepared) return Tell(failed);
    TRESTLE_RETURN_IF_ERROR(client_.Pull(*prepared->lookup));
    if (!failed.ok()) continue;
    visitor.BeginStep(*prepared);
    RunLanes(*prepared, &visitor);
    failed = visitor.OnStep(*prepared, logits_);
    if (BreaksTheJob(failed)) return failed;
    if (!failed.ok()) {
      queue.Fail(failed);
      continue;
    }
    *positives += CountPositives(prepared->lanes);
    ++result->steps;
    result->rows += prepared->lookup->header().rows;
    result->ids += prepared->lookup->occurrences();
    result->unseen_ids += prepared->lookup->unseen_occurrences();
    progress_.EvaluationStep(prepared->lookup->header().rows);
  }
}

Status Trainer::ClosePass(const Dataset& dataset, const Ledger& ledger, int64_t positives,
                          PassResult* result) {
  int64_t sums[] = {ledger.read,       ledger.rejected, static_cast<int64_t>(ledger.hash),
                    ledger.left_out,   positives,       result->ids,
                    result->unseen_ids};
  TRESTLE_RETURN_IF_ERROR(comm_.AllReduceSum({Stream::kDense, "ledger", step_}, sums));
  result->ledger = {sums[0], sums[1], static_cast<uint64_t>(sums[2]), sums[3]};
  result->positives = sums[4];
  result->ids = sums[5];
  result->unseen_ids = sums[6];
  return result->complete ? Tell(CheckPass(dataset, *result)) : Status();
}

// A pass is over, so that every rank waits for the header of the next: it brings the failure.
Status Trainer::Tell(const Status& failure) {
  if (failure.ok() || BreaksTheJob(failure)) return failure;  // then nobody can be told
  const Status told = Announce(Action::kStop, failure);
  return told.ok() ? failure : told;
}

Status Trainer::Announce(Action action, const Status& failure) {
  StepHeader header;
  header.action = action;
  header.step = step_;
  return client_.Prepare(header, {}, failure).status();
}

Status Trainer::CompareReplicas() { return Tell(CompareDigests()); }

Status Trainer::CompareDigests() {
  const Operation op{Stream::kDense, "replica digests", step_};
  TRESTLE_ASSIGN_OR_RETURN(const auto digests, AllGatherValue(comm_, op, backend_.Digest()));
  const uint64_t mine = digests[comm_.rank().value];
  for (int r = 0; r < comm_.size(); ++r) {
    if (digests[r] != mine && digests[r] != 0) {
      return {StatusCode::kMismatch, "the dense parameters of rank " + std::to_string(r) +
                                         " differ from those of rank " +
                                         std::to_string(comm_.rank().value)};
    }
  }
  return {};
}

Status Trainer::AnnounceCheckpoint() { return Announce(Action::kCheckpoint, Status()); }

Status Trainer::Stop() { return Announce(Action::kStop, Status()); }

}  // namespace trestle
