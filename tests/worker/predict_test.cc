// Predictions: the rows of the input in its order, with the very bits that an evaluation computes,
// whatever the shape of the job.
#include "worker/predict.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>

#include "tests/worker/trainer_fixture.h"
#include "worker/metrics.h"
#include "worker/metrics_terms.h"

namespace trestle {
namespace {

const std::vector<JobShape> kShapes = {{1, 0, 1}, {3, 0, 2}, {3, 1, 1}};

// What an evaluation computes, lane after lane.
class Logits final : public EvaluationVisitor {
 public:
  Status OnStep(const PreparedStep&, std::span<const std::vector<float>> logits) override {
    for (const auto& lane : logits) seen.insert(seen.end(), lane.begin(), lane.end());
    return {};
  }
  std::vector<float> seen;
};

void Append(const PredictedRows& rows, PredictedRows* all) {
  all->attention.resize(rows.attention.size());
  all->embeddings.resize(rows.embeddings.size());
  AppendBytes(ToBytes(rows), all);
}

PredictedRows Predicted(TrainingJob* job, const JobShape& shape, bool shown,
                        Evaluation* evaluation) {
  PredictedRows all;
  job->drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                   TrainingJob::Outcome* outcome) -> Status {
    TRESTLE_RETURN_IF_ERROR(trainer.TrainEpoch(state.train, 0, 1).status());
    TRESTLE_ASSIGN_OR_RETURN(outcome->evaluations.emplace_back(),
                             trainer.Evaluate(state.test, "test"));
    const ModelOutputSpec spec = shown ? state.backend.outputs() : ModelOutputSpec();
    Predictor predictor(state.comm, job->schema, spec, state.roles.workers.front(),
                        [&](const PredictedRows& rows) {
                          Append(rows, &all);
                          return Status();
                        });
    TRESTLE_RETURN_IF_ERROR(trainer.Visit(state.test, "predict", TIME, predictor).status());
    return {};
  };
  const auto outcome = job->Run(shape);
  for (const auto& rank : outcome.ranks) EXPECT_TRUE(rank.status.ok()) << rank.status.ToString();
  *evaluation = outcome.evaluations.front();
  return all;
}

std::vector<uint32_t> Bits(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

TEST(Predictor, HasTheBitsAndMetricsOfTheEvaluationInAnyShape) {
  TrainingJob job;
  Logits evaluated;
  job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                  TrainingJob::Outcome*) -> Status {
    TRESTLE_RETURN_IF_ERROR(trainer.TrainEpoch(state.train, 0, 1).status());
    return trainer.Visit(state.test, "test", TIME, evaluated).status();
  };
  job.Run({1, 0, 1});
  ASSERT_EQ(evaluated.seen.size(), 97u);
  std::vector<float> labels;
  for (int i = 0; i < 97; ++i) labels.push_back(i % 3 == 0 ? 1 : 0);
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    Evaluation evaluation;
    const PredictedRows rows = Predicted(&job, shape, shape.threads == 2, &evaluation);
    EXPECT_EQ(rows.accepted, std::vector<uint8_t>(97, 1));
    EXPECT_EQ(Bits(rows.logits), Bits(evaluated.seen));
    EXPECT_EQ(ExactAuc(rows.logits, labels), evaluation.metrics.auc);
    double predicted = 0;
    for (const float logit : rows.logits) predicted += Probability(logit);
    EXPECT_NEAR(predicted / 33, evaluation.metrics.pcoc, 1e-9);
  }
}

TEST(Predictor, ShowsAWeightForEachItemAndTheLayerThatMakesTheLogit) {
  TrainingJob job;
  Evaluation evaluation;
  const PredictedRows rows = Predicted(&job, {2, 0, 1}, true, &evaluation);
  const PredictedRows plain = Predicted(&job, {2, 0, 1}, false, &evaluation);
  EXPECT_EQ(Bits(rows.logits), Bits(plain.logits)) << "being asked changes nothing";
  ASSERT_EQ(rows.attention.size(), 1u);
  int64_t items = 0;
  for (int i = 0; i < 97; ++i) {
    EXPECT_EQ(rows.attention[0].lengths[static_cast<size_t>(i)], i % 5) << i;
    items += i % 5;
  }
  EXPECT_EQ(static_cast<int64_t>(rows.attention[0].values.size()), items);
  ASSERT_EQ(rows.embeddings.size(), 3u);
  EXPECT_EQ(rows.embeddings[0].size(), 97u * 4);  // the candidate: an item
  EXPECT_EQ(rows.embeddings[1].size(), 97u * 4);
  EXPECT_EQ(rows.embeddings[2].size(), 97u * 4);  // the last hidden layer
  for (size_t i = 0; i < 97; i += 5) {            // rows without a history
    for (size_t d = 0; d < 4; ++d) EXPECT_EQ(rows.embeddings[1][i * 4 + d], 0) << i;
  }
}

TEST(Predictor, AFailureOfItsSinkEndsEveryRank) {
  for (const JobShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    TrainingJob job;
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome*) -> Status {
      Predictor predictor(
          state.comm, job.schema, {}, state.roles.workers.front(),
          [](const PredictedRows&) { return Status(StatusCode::kIoError, "no space"); });
      return trainer.Visit(state.test, "predict", TIME, predictor).status();
    };
    for (const auto& [status, whole] : job.Run(shape).ranks) {
      EXPECT_EQ(status.code(), StatusCode::kIoError) << status.ToString();
      EXPECT_TRUE(whole);
    }
  }
}

TEST(Importance, IsTheSameInAnyShapeAndIsOfEveryFeature) {
  TrainingJob job;
  std::vector<Importance> found(kShapes.size());
  for (size_t i = 0; i < kShapes.size(); ++i) {
    SCOPED_TRACE(Name(kShapes[i]));
    double evaluated = 0;
    job.drive = [&](Trainer& trainer, TrainingJob::RankState& state,
                    TrainingJob::Outcome*) -> Status {
      TRESTLE_RETURN_IF_ERROR(trainer.TrainEpoch(state.train, 0, 1).status());
      TRESTLE_ASSIGN_OR_RETURN(const Evaluation test, trainer.Evaluate(state.test, "test"));
      TRESTLE_ASSIGN_OR_RETURN(auto importance, trainer.MeasureImportance(state.test, "test"));
      if (state.comm.rank() != state.roles.workers.front()) return {};
      evaluated = test.metrics.auc;
      found[i] = std::move(importance.value());
      return {};
    };
    for (const auto& rank : job.Run(kShapes[i]).ranks) {
      EXPECT_TRUE(rank.status.ok()) << rank.status.ToString();
    }
    EXPECT_EQ(found[i].auc, evaluated);
    EXPECT_EQ(found[i].rows, 97);
    std::map<std::string, double> lost;
    for (const auto& one : found[i].features) lost[one.feature] = one.lost;
    ASSERT_EQ(lost.size(), 4u);
    EXPECT_TRUE(lost.contains("user") && lost.contains("item") && lost.contains("hist") &&
                lost.contains("price"));
    for (size_t f = 0; f < found[i].features.size(); ++f) {
      EXPECT_EQ(found[i].features[f].feature, found[0].features[f].feature);
      EXPECT_EQ(found[i].features[f].auc, found[0].features[f].auc);
    }
  }
}

}  // namespace
}  // namespace trestle
