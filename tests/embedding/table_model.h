// What the tests of tables share: specs, pulls and pushes made from (key, step), and the table as
// std::unordered_map would have it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/partition.h"
#include "base/philox.h"
#include "embedding/row_math.h"
#include "embedding/table.h"

namespace trestle::embedding {

using Missing = EmbeddingTable::Missing;

struct OptimizerCase {
  const char* name;
  void (*choose)(EmbeddingOptimizer*);
};
inline constexpr OptimizerCase kOptimizers[] = {
    {"sgd", [](EmbeddingOptimizer* o) { o->mutable_sgd(); }},
    {"adagrad", [](EmbeddingOptimizer* o) { o->mutable_adagrad(); }},
    {"rowwise_adagrad", [](EmbeddingOptimizer* o) { o->mutable_rowwise_adagrad(); }},
    {"adam", [](EmbeddingOptimizer* o) { o->mutable_adam(); }},
    {"momentum", [](EmbeddingOptimizer* o) { o->mutable_momentum(); }},
    {"rmsprop", [](EmbeddingOptimizer* o) { o->mutable_rmsprop(); }},
    {"ftrl", [](EmbeddingOptimizer* o) { o->mutable_ftrl()->set_l1(0.2f); }},
};

inline TableSpec Spec(int dim, const OptimizerCase& optimizer = kOptimizers[1],
                      Unseen unseen = ZERO) {
  Table table;
  table.set_name("items");
  table.set_dim(dim);
  table.set_unseen(unseen);
  optimizer.choose(table.mutable_optimizer());
  if (!table.optimizer().has_ftrl()) table.mutable_optimizer()->set_l2(0.001f);
  return MakeTableSpec(table, 99).value();
}

inline std::vector<Key> Keys(uint64_t begin, uint64_t end) {
  std::vector<Key> keys;
  for (uint64_t k = begin; k < end; ++k) keys.push_back(Key{k});
  return keys;
}

// What a pull brought, and a push of gradients made from (key, step).
struct Pulled {
  std::vector<float> weights;
  std::vector<RowHandle> handles;
  int64_t missing = 0;
};

inline Pulled Pull(EmbeddingTable& table, const std::vector<Key>& keys,
                   Missing missing = Missing::kCreate) {
  Pulled p;
  p.weights.assign(keys.size() * table.spec().dim, -777.0f);
  p.handles.resize(keys.size());
  const auto result = table.Pull(keys, missing, p.weights, p.handles);
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  if (result.ok()) p.missing = *result;
  return p;
}

inline std::vector<float> Gradient(Key key, int64_t step, int dim) {
  std::vector<float> g(dim);
  for (int d = 0; d < dim; ++d) {
    g[d] = UniformFloat(Philox(static_cast<uint64_t>(step), key.value, d)[0]) - 0.5f;
  }
  return g;
}

inline float LrFactor(int64_t step) { return step % 2 ? 1.0f : 0.5f; }

inline KeyCounts CountsOf(Key key) {
  return {static_cast<uint32_t>(key.value % 7 + 1), static_cast<uint32_t>(key.value % 3 + 1)};
}

inline void Push(EmbeddingTable& table, const std::vector<Key>& keys,
                 const std::vector<RowHandle>& handles, int64_t step) {
  std::vector<float> gradients;
  std::vector<KeyCounts> counts;
  for (const Key key : keys) {
    const std::vector<float> g = Gradient(key, step, table.spec().dim);
    gradients.insert(gradients.end(), g.begin(), g.end());
    counts.push_back(CountsOf(key));
  }
  const Status status = table.Push(handles, gradients, counts, step, LrFactor(step));
  EXPECT_TRUE(status.ok()) << status.ToString();
}

struct ModelRow {
  std::vector<float> weights, state;
  uint64_t occurrences = 0, samples = 0;
  int64_t last_step = 0;
};

inline bool Same(const RowView& view, const ModelRow& row) {
  return std::ranges::equal(view.weights, row.weights) &&
         std::ranges::equal(view.state, row.state) && view.occurrences == row.occurrences &&
         view.samples == row.samples && view.last_step == row.last_step;
}

// The table as std::unordered_map would have it.
class Model {
 public:
  explicit Model(const TableSpec& spec)
      : spec_(spec), initializer_(MakeRowInitializer(spec)), optimizer_(MakeRowOptimizer(spec)) {}

  ModelRow Initial(Key key) const {
    ModelRow row;
    row.weights.resize(spec_.dim);
    FillInitialWeights(initializer_, spec_.seed, key.value, spec_.dim, row.weights.data());
    row.state.assign(StateWidth(optimizer_, spec_.dim), InitialState(optimizer_));
    return row;
  }
  ModelRow& Row(Key key) { return rows.try_emplace(key.value, Initial(key)).first->second; }
  void Push(Key key, int64_t step) {
    ModelRow& row = Row(key);
    const std::vector<float> g = Gradient(key, step, spec_.dim);
    std::visit(
        [&](const auto& o) {
          o.AtStep(step, LrFactor(step))
              .Apply(row.weights.data(), row.state.data(), g.data(), spec_.dim);
        },
        optimizer_);
    row.occurrences += CountsOf(key).occurrences;
    row.samples += CountsOf(key).samples;
    row.last_step = step;
  }

  std::unordered_map<uint64_t, ModelRow> rows;

 private:
  TableSpec spec_;
  RowInitializer initializer_;
  RowOptimizer optimizer_;
};

inline void ExpectSame(const EmbeddingTable& table, const Model& model) {
  EXPECT_EQ(table.rows(), static_cast<int64_t>(model.rows.size()));
  int64_t visited = 0;
  const Status status = table.ForEachRow(0, kPartitions, [&](const RowView& view) {
    ++visited;
    const auto found = model.rows.find(view.key.value);
    if (found == model.rows.end()) return Status(StatusCode::kInternal, "key of nobody");
    return Same(view, found->second)
               ? Ok()
               : Status(StatusCode::kInternal, std::to_string(view.key.value) + " differs");
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(visited, table.rows());
}

}  // namespace trestle::embedding
