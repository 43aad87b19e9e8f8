// Permutation importance: for each feature the AUC that is lost when its values are dealt to other
// rows. The network then knows as little as if it had never seen the feature, but sees values as
// it knows them.
//
// A pass in SHUFFLE order for every kFeaturesAPass features: a step's rows are pulled once, and for
// each feature the network runs once more on them, with that feature's values permuted among the
// rows of each lane. Lanes and permutations depend on the config alone, so the result has the same
// bits at any number of ranks.
//
// A feature is an id column, a number, also where it is bucketized too, a cross, a bag, or all
// columns of a sequence, whose items go together. A cross keeps the pairs of its row when one of
// its parts is permuted, so it covers for them. Rows of a lane are of one block of the files (a few
// at its ends): what is equal in a whole block is not missed. Two features that say the same cover
// for each other.
//
// Memory: 5 bytes a row and feature of a pass, 250 MB at most over all ranks; with more rows 16 MB
// a feature of a pass and rank, and AUCs are within auc_error (metrics.h).
//
// Thread safety: as EvaluationVisitor. Collective: Compute, by all workers. Errors: those of
// metrics. Source: Breiman, Random Forests, Machine Learning 2001, section 10.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "worker/evaluation_visitor.h"
#include "worker/metrics.h"
#include "worker/schema.h"

namespace trestle {

// A feature's places in a lane's tensors.
struct FeatureColumns {
  std::string name;               // "price"; of a sequence "hist_item+hist_cate"
  std::vector<size_t> slots;      // of a sequence all of its columns
  std::optional<size_t> numeric;  // of a numeric column, also one that is bucketized too
};

inline constexpr size_t kFeaturesAPass = 32;

std::vector<FeatureColumns> FeaturesOf(const Schema& schema);

struct FeatureImportance {
  std::string feature;
  double auc = 0;   // without it
  double lost = 0;  // of the whole AUC
};

struct Importance {
  double auc = 0;        // with every feature
  double auc_error = 0;  // the largest bound of an AUC; 0: all are exact
  int64_t rows = 0;
  std::vector<FeatureImportance> features;
};

// Features that lose the most come first; equal ones stay as they are.
void SortByLoss(Importance* importance);

class ImportanceVisitor final : public EvaluationVisitor {
 public:
  // Of some features of the schema.
  ImportanceVisitor(const Schema& schema, uint64_t seed, std::vector<FeatureColumns> features);

  void BeginStep(const PreparedStep& step) override;
  void OnLane(const LaneVisit& visit) override;
  Status OnStep(const PreparedStep& step, std::span<const std::vector<float>> logits) override;

  // Appends the features.
  Status Compute(Communicator& comm, Importance* importance) const;

 private:
  const uint64_t seed_;
  const size_t numeric_width_;
  const std::vector<FeatureColumns> features_;
  std::vector<MetricsAccumulator> metrics_;              // of each feature, and of the whole model
  std::vector<std::vector<std::vector<float>>> logits_;  // of each lane and feature
};

}  // namespace trestle
