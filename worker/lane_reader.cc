// The LaneReader: walks the plan, holds the blocks that its lanes are in, gathers their rows.
//
// A step: find the pieces of blocks that its lanes need; decode the blocks that are not held yet,
// each once, in parallel; gather lanes in parallel; then let go of blocks that no lane will read
// next.
#include <glog/logging.h>

#include <algorithm>
#include <map>

#include "worker/block.h"
#include "worker/input.h"
#include "worker/lane_gather.h"
#include "worker/plan.h"
#include "worker/reject_file.h"

namespace trestle {
namespace {

struct HeldBlock {
  std::shared_ptr<const Block> block;
  std::vector<int32_t> order;  // its rows in the epoch's order
};

struct BlockPlace {
  size_t file;
  int64_t first_row;  // in the file
};

std::vector<BlockPlace> BlockPlaces(const Dataset& dataset) {
  std::vector<BlockPlace> places;
  for (size_t f = 0; f < dataset.files().size(); ++f) {
    int64_t row = 0;
    for (const int64_t rows : dataset.files()[f].block_rows) {
      places.push_back({f, row});
      row += rows;
    }
  }
  return places;
}

std::vector<int64_t> AllBlockRows(const Dataset& dataset) {
  std::vector<int64_t> all;
  for (const InputFile& file : dataset.files()) {
    all.insert(all.end(), file.block_rows.begin(), file.block_rows.end());
  }
  return all;
}

EpochPlan::Options PlanOf(const PlanOptions& plan) {
  return {plan.order, plan.seed, plan.segment, plan.epoch, plan.batch_rows, plan.lanes};
}

class BlockLaneReader final : public LaneReader {
 public:
  BlockLaneReader(const Dataset& dataset, const PlanOptions& options, FileSystem& fs,
                  ThreadPool* pool)
      : dataset_(dataset),
        options_(options),
        plan_(AllBlockRows(dataset), PlanOf(options)),
        places_(BlockPlaces(dataset)),
        pool_(pool),
        rejects_(fs, options.reject_path),
        step_(options.first_step) {
    options_.statistics.resize(dataset.schema().numeric.size());
  }

  int64_t steps() const override { return plan_.steps(); }
  const Ledger& ledger() const override { return ledger_; }
  const std::string& first_reject() const override { return rejects_.first(); }

  Result<std::optional<std::vector<LaneRows>>> Next() override {
    if (step_ >= plan_.steps()) return std::optional<std::vector<LaneRows>>();
    const auto pieces = PiecesOfStep();
    TRESTLE_RETURN_IF_ERROR(HoldBlocks(pieces));
    std::vector<LaneResult> results(pieces.size());
    Parallel(static_cast<int64_t>(pieces.size()),
             [&](int64_t i) { FillLane(pieces[static_cast<size_t>(i)], &results[i]); });
    std::vector<LaneRows> lanes;
    lanes.reserve(results.size());
    for (LaneResult& result : results) {
      Account(result);
      lanes.push_back(std::move(result.lane));
    }
    TRESTLE_RETURN_IF_ERROR(rejects_.Flush());
    ++step_;
    DropBlocks();
    return std::optional(std::move(lanes));
  }

 private:
  struct Reject {
    int64_t block;
    const BadRow* bad;
  };
  struct LaneResult {
    LaneRows lane;
    Ledger ledger;
    std::vector<Reject> rejects;
  };

  void Parallel(int64_t count, const std::function<void(int64_t)>& body) {
    if (pool_) {
      pool_->ParallelFor(count, [&](int64_t i, int) { body(i); });
    } else {
      for (int64_t i = 0; i < count; ++i) body(i);
    }
  }

  std::vector<std::vector<BlockPiece>> PiecesOfStep() const {
    std::vector<std::vector<BlockPiece>> pieces;
    for (int lane = options_.first_lane; lane < options_.end_lane; ++lane) {
      pieces.push_back(plan_.Pieces(plan_.LaneRange(lane, step_)));
    }
    return pieces;
  }

  Status HoldBlocks(const std::vector<std::vector<BlockPiece>>& pieces) {
    std::vector<int64_t> missing;
    for (const auto& of_lane : pieces) {
      for (const BlockPiece& piece : of_lane) {
        if (held_.try_emplace(piece.block).second) missing.push_back(piece.block);
      }
    }
    std::vector<Status> statuses(missing.size());
    Parallel(static_cast<int64_t>(missing.size()), [&](int64_t i) {
      const int64_t block = missing[static_cast<size_t>(i)];
      HeldBlock& held = held_.find(block)->second;
      auto read = dataset_.ReadBlock(block, options_.statistics);
      statuses[static_cast<size_t>(i)] = read.status();
      if (!read.ok()) return;
      held.block = std::move(read).value();
      held.order = plan_.RowOrder(block);
    });
    for (const Status& status : statuses) TRESTLE_RETURN_IF_ERROR(status);
    return {};
  }

  void FillLane(const std::vector<BlockPiece>& pieces, LaneResult* result) const {
    result->lane = EmptyLane(dataset_.schema());
    std::vector<int32_t> accepted;
    for (const BlockPiece& piece : pieces) {
      const HeldBlock& held = held_.find(piece.block)->second;
      const std::span<const int32_t> rows(held.order.data() + piece.begin,
                                          static_cast<size_t>(piece.end - piece.begin));
      CountRows(piece.block, rows, &result->ledger);
      if (held.block->bad_rows.empty()) {
        GatherRows(dataset_.schema(), *held.block, rows, &result->lane);
        continue;
      }
      accepted.clear();
      for (const int32_t row : rows) {
        if (const BadRow* bad = FindBad(*held.block, row)) {
          result->rejects.push_back({piece.block, bad});
        } else {
          accepted.push_back(row);
        }
      }
      GatherRows(dataset_.schema(), *held.block, accepted, &result->lane);
    }
    result->lane.rejected = static_cast<int64_t>(result->rejects.size());
    result->ledger.rejected = result->lane.rejected;
  }

  static const BadRow* FindBad(const Block& block, int32_t row) {
    const auto at = std::lower_bound(block.bad_rows.begin(), block.bad_rows.end(), row,
                                     [](const BadRow& bad, int32_t r) { return bad.row < r; });
    return at != block.bad_rows.end() && at->row == row ? &*at : nullptr;
  }

  void CountRows(int64_t block, std::span<const int32_t> rows, Ledger* ledger) const {
    const BlockPlace& place = places_[static_cast<size_t>(block)];
    ledger->read += static_cast<int64_t>(rows.size());
    for (const int32_t row : rows) {
      ledger->hash += LedgerHash(place.file, static_cast<uint64_t>(place.first_row + row));
    }
  }

  // In the order of lanes, so that the reject file does not depend on threads.
  void Account(const LaneResult& result) {
    ledger_.read += result.ledger.read;
    ledger_.rejected += result.ledger.rejected;
    ledger_.hash += result.ledger.hash;
    for (const Reject& reject : result.rejects) {
      const BlockPlace& place = places_[static_cast<size_t>(reject.block)];
      rejects_.Add(dataset_.files()[place.file].path, place.first_row + reject.bad->row,
                   reject.bad->column, reject.bad->reason);
    }
  }

  // Keeps the blocks of the next step, and where lanes stand that it leaves without rows.
  void DropBlocks() {
    std::vector<int64_t> next;
    for (int lane = options_.first_lane; lane < options_.end_lane; ++lane) {
      RowRange range = plan_.LaneRange(lane, step_);
      range.end = std::min(std::max(range.end, range.begin + 1), plan_.rows());
      for (const BlockPiece& piece : plan_.Pieces(range)) next.push_back(piece.block);
    }
    std::sort(next.begin(), next.end());
    std::erase_if(held_, [&](const auto& entry) {
      return !std::binary_search(next.begin(), next.end(), entry.first);
    });
  }

  const Dataset& dataset_;
  PlanOptions options_;
  EpochPlan plan_;
  std::vector<BlockPlace> places_;
  ThreadPool* pool_;
  RejectFile rejects_;
  std::map<int64_t, HeldBlock> held_;
  Ledger ledger_;
  int64_t step_;
};

}  // namespace

Result<std::unique_ptr<LaneReader>> OpenLanes(const Dataset& dataset, const PlanOptions& plan,
                                              FileSystem& fs, ThreadPool* pool) {
  if (plan.batch_rows < 1 || plan.lanes < 1) {
    return Status(StatusCode::kInvalidConfig, "batch.rows " + std::to_string(plan.batch_rows) +
                                                  " and batch.lanes " + std::to_string(plan.lanes) +
                                                  " must be at least 1");
  }
  CHECK(0 <= plan.first_lane && plan.first_lane <= plan.end_lane && plan.end_lane <= plan.lanes);
  const std::vector<NumericColumn>& numeric = dataset.schema().numeric;
  const bool scaled = std::any_of(numeric.begin(), numeric.end(), [](const NumericColumn& column) {
    return column.scaling != NumericFeature::NONE;
  });
  CHECK(plan.statistics.size() == numeric.size() || (plan.statistics.empty() && !scaled));
  return std::unique_ptr<LaneReader>(std::make_unique<BlockLaneReader>(dataset, plan, fs, pool));
}

}  // namespace trestle
