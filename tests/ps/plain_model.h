// The exchange as one would write it on paper: maps, one thread, one table, no messages.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/ps/job.h"

namespace trestle::testing {

class PlainModel {
 public:
  explicit PlainModel(const Plan& plan) : plan_(plan) {
    for (const TableSpec& spec : plan.tables) tables_.push_back(*MakeCpuTable(spec, &pool_));
  }

  Outcome Run() {
    for (int64_t step = 1; step <= plan_.steps; ++step) Step(Action::kTrain, step);
    for (int64_t step = 1; step <= plan_.evaluations; ++step) Step(Action::kEvaluate, step);
    for (const auto& table : tables_) {
      outcome_.digests.push_back(table->Digest());
      outcome_.rows.push_back(table->rows());
    }
    return outcome_;
  }

 private:
  struct Row {
    std::vector<float> weights;
    RowHandle handle;
    KeyCounts counts;
    std::vector<int64_t> sum;
  };
  using Rows = std::map<Key, Row>;

  void Step(Action action, int64_t step) {
    std::vector<LaneKeys> lanes;
    int64_t rows = 0;
    for (int lane = 0; lane < plan_.lanes; ++lane) {
      lanes.push_back(MakeLane(plan_, action, step, lane));
      rows += LaneRowCount(lanes.back());
    }
    std::vector<Rows> pulled;
    for (size_t t = 0; t < tables_.size(); ++t) pulled.push_back(PullTable(action, t, lanes));
    bool good = true;
    for (int lane = 0; lane < plan_.lanes; ++lane) good &= Lane(action, step, lane, lanes, &pulled);
    if (action != Action::kTrain) return;
    outcome_.applied.push_back(good);
    for (size_t t = 0; good && t < tables_.size(); ++t) PushTable(t, pulled[t], step, rows);
  }

  Rows PullTable(Action action, size_t table, const std::vector<LaneKeys>& lanes) {
    Rows rows;
    for (const LaneKeys& lane : lanes) {
      std::map<Key, std::set<size_t>> samples;
      for (size_t s = 0; s < lane.size(); ++s) {
        if (plan_.slot_tables[s] != static_cast<int>(table)) continue;
        for (size_t b = 0; b + 1 < lane[s].offsets.size(); ++b) {
          for (int32_t i = lane[s].offsets[b]; i < lane[s].offsets[b + 1]; ++i) {
            const Key key = lane[s].keys[static_cast<size_t>(i)];
            ++rows[key].counts.occurrences;
            samples[key].insert(b);
          }
        }
      }
      for (const auto& [key, set] : samples) {
        rows[key].counts.samples += static_cast<uint32_t>(set.size());
      }
    }
    for (auto& [key, row] : rows) {
      row.weights.resize(static_cast<size_t>(plan_.tables[table].dim));
      row.sum.resize(row.weights.size());
      const auto missing = action == Action::kTrain ? EmbeddingTable::Missing::kCreate
                                                    : EmbeddingTable::Missing::kRead;
      EXPECT_TRUE(tables_[table]
                      ->Pull(std::span(&key, 1), missing, row.weights, std::span(&row.handle, 1))
                      .ok());
      if (row.handle.absent()) outcome_.unseen_occurrences += row.counts.occurrences;
    }
    return rows;
  }

  bool Lane(Action action, int64_t step, int lane, const std::vector<LaneKeys>& lanes,
            std::vector<Rows>* pulled) {
    std::map<std::pair<int, Key>, std::vector<float>> sums;
    for (int slot = 0; slot < static_cast<int>(plan_.slot_tables.size()); ++slot) {
      const int table = plan_.slot_tables[static_cast<size_t>(slot)];
      const auto& keys = lanes[static_cast<size_t>(lane)][static_cast<size_t>(slot)].keys;
      std::vector<float> rows;
      for (const Key key : keys) {
        const auto& weights = (*pulled)[static_cast<size_t>(table)][key].weights;
        rows.insert(rows.end(), weights.begin(), weights.end());
      }
      outcome_.gathered[GatherName(action, step, lane, slot)] = rows;
      if (action != Action::kTrain) continue;
      const std::vector<float> gradient = MakeGradient(plan_, step, lane, slot, rows);
      const size_t dim = static_cast<size_t>(plan_.tables[static_cast<size_t>(table)].dim);
      for (size_t i = 0; i < keys.size(); ++i) {
        auto& sum = sums[{table, keys[i]}];
        sum.resize(dim);
        for (size_t d = 0; d < dim; ++d) sum[d] += gradient[i * dim + d];
      }
    }
    bool good = true;
    for (const auto& [where, sum] : sums) {
      auto& total = (*pulled)[static_cast<size_t>(where.first)][where.second].sum;
      for (size_t d = 0; d < sum.size(); ++d) {
        good = good && unit_.IsTerm(sum[d]);
        if (good) total[d] += unit_.ToFixed(sum[d]);
      }
    }
    return good;
  }

  void PushTable(size_t table, const Rows& pulled, int64_t step, int64_t rows) {
    for (const auto& [key, row] : pulled) {
      std::vector<float> gradient;
      for (const int64_t sum : row.sum) {
        gradient.push_back(static_cast<float>(unit_.ToDouble(sum) / static_cast<double>(rows)));
      }
      EXPECT_TRUE(tables_[table]
                      ->Push(std::span(&row.handle, 1), gradient, std::span(&row.counts, 1), step,
                             LrFactor(step))
                      .ok());
    }
  }

  const Plan& plan_;
  const FixedUnit unit_;
  ThreadPool pool_{1};
  std::vector<std::unique_ptr<EmbeddingTable>> tables_;
  Outcome outcome_;
};

}  // namespace trestle::testing
