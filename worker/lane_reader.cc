// The LaneReader: walks the plan, holds the blocks that its lanes are in, gathers their rows.
//
// A step: find the pieces of blocks that its lanes need; decode the blocks that are not held yet,
// each once; gather the lanes; then let go of blocks that no lane will read next. All of it on the
// caller, the keys thread: a row costs about half a microsecond.
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/hash.h"
#include "worker/block.h"
#include "worker/bucket_bounds.h"
#include "worker/input.h"
#include "worker/lane_gather.h"
#include "worker/negative_keep.h"
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
  BlockLaneReader(const Dataset& dataset, const PlanOptions& options, FileSystem& fs)
      : dataset_(dataset),
        options_(options),
        plan_(AllBlockRows(dataset), PlanOf(options)),
        places_(BlockPlaces(dataset)),
        sampling_seed_(DeriveSeed(options.seed, "negatives")),
        rejects_(fs, options.reject_path),
        step_(options.first_step) {
    options_.statistics.resize(dataset.schema().numeric.size());
    if (options_.bounds.empty()) options_.bounds = GivenBounds(dataset.schema());
  }

  int64_t steps() const override { return plan_.steps(); }
  const Ledger& ledger() const override { return ledger_; }
  const std::string& first_reject() const override { return rejects_.first(); }

  Result<std::optional<std::vector<LaneRows>>> Next() override {
    if (step_ >= plan_.steps()) return std::optional<std::vector<LaneRows>>();
    const auto pieces = PiecesOfStep();
    TRESTLE_RETURN_IF_ERROR(HoldBlocks(pieces));
    std::vector<LaneRows> lanes;
    lanes.reserve(pieces.size());
    for (const auto& of_lane : pieces) lanes.push_back(ReadLane(of_lane));
    TRESTLE_RETURN_IF_ERROR(rejects_.Flush());
    ++step_;
    DropBlocks();
    return std::optional(std::move(lanes));
  }

 private:
  std::vector<std::vector<BlockPiece>> PiecesOfStep() const {
    std::vector<std::vector<BlockPiece>> pieces;
    for (int lane = options_.first_lane; lane < options_.end_lane; ++lane) {
      pieces.push_back(plan_.Pieces(plan_.LaneRange(lane, step_)));
    }
    return pieces;
  }

  Status HoldBlocks(const std::vector<std::vector<BlockPiece>>& pieces) {
    for (const auto& of_lane : pieces) {
      for (const BlockPiece& piece : of_lane) {
        const auto [held, fresh] = held_.try_emplace(piece.block);
        if (!fresh) continue;
        TRESTLE_ASSIGN_OR_RETURN(
            held->second.block,
            dataset_.ReadBlock(piece.block, options_.statistics, options_.bounds));
        held->second.order = plan_.RowOrder(piece.block);
      }
    }
    return {};
  }

  LaneRows ReadLane(const std::vector<BlockPiece>& pieces) {
    LaneRows lane = EmptyLane(dataset_.schema());
    std::vector<int32_t> accepted;
    int32_t place = 0;  // of the piece's first row in the lane
    for (const BlockPiece& piece : pieces) {
      const HeldBlock& held = held_.find(piece.block)->second;
      const std::span<const int32_t> rows(held.order.data() + piece.begin,
                                          static_cast<size_t>(piece.end - piece.begin));
      CountRows(piece.block, rows);
      const int32_t first = place;
      place += static_cast<int32_t>(rows.size());
      if (held.block->bad_rows.empty() && options_.negative_keep >= 1) {
        GatherRows(dataset_.schema(), *held.block, rows, &lane);
        continue;
      }
      accepted.clear();
      for (size_t i = 0; i < rows.size(); ++i) {
        if (const BadRow* bad = FindBad(*held.block, rows[i])) {
          ++lane.rejected;
          lane.holes.push_back(first + static_cast<int32_t>(i));
          Reject(piece.block, *bad);
        } else if (LeavesOut(piece.block, *held.block, rows[i])) {
          ++ledger_.left_out;
        } else {
          accepted.push_back(rows[i]);
        }
      }
      GatherRows(dataset_.schema(), *held.block, accepted, &lane);
    }
    return lane;
  }

  static const BadRow* FindBad(const Block& block, int32_t row) {
    const auto at = std::lower_bound(block.bad_rows.begin(), block.bad_rows.end(), row,
                                     [](const BadRow& bad, int32_t r) { return bad.row < r; });
    return at != block.bad_rows.end() && at->row == row ? &*at : nullptr;
  }

  bool LeavesOut(int64_t block, const Block& rows, int32_t row) const {
    if (rows.labels[static_cast<size_t>(row)] != 0) return false;
    const BlockPlace& place = places_[static_cast<size_t>(block)];
    return !KeepsNegative(options_.negative_keep, sampling_seed_, place.file,
                          static_cast<uint64_t>(place.first_row + row));
  }

  void CountRows(int64_t block, std::span<const int32_t> rows) {
    const BlockPlace& place = places_[static_cast<size_t>(block)];
    ledger_.read += static_cast<int64_t>(rows.size());
    for (const int32_t row : rows) {
      ledger_.hash += LedgerHash(place.file, static_cast<uint64_t>(place.first_row + row));
    }
  }

  void Reject(int64_t block, const BadRow& bad) {
    const BlockPlace& place = places_[static_cast<size_t>(block)];
    ++ledger_.rejected;
    if (bad.text_line > 0) {
      rejects_.AddLine(bad.text_file, bad.text_line, bad.column, bad.reason);
      return;
    }
    rejects_.Add(dataset_.files()[place.file].path, place.first_row + bad.row, bad.column,
                 bad.reason);
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
  const uint64_t sampling_seed_;
  RejectFile rejects_;
  std::map<int64_t, HeldBlock> held_;
  Ledger ledger_;
  int64_t step_;
};

// Scaling by what is not finite makes a column of zeros, silently.
Status CheckStatistics(const std::vector<NumericColumn>& columns,
                       const std::vector<NumericStatistics>& statistics) {
  for (size_t i = 0; i < statistics.size(); ++i) {
    const NumericStatistics& s = statistics[i];
    if (columns[i].scaling == NumericFeature::NONE) continue;
    if (std::isfinite(s.mean) && std::isfinite(s.std) && std::isfinite(s.max - s.min)) continue;
    return {StatusCode::kInvalidData,
            "column \"" + columns[i].column + "\": its mean " + std::to_string(s.mean) +
                ", deviation " + std::to_string(s.std) + " or range " +
                std::to_string(s.max - s.min) +
                " is not finite, so it cannot be scaled; take `scale` from the feature or train "
                "again"};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LaneReader>> OpenLanes(const Dataset& dataset, const PlanOptions& plan,
                                              FileSystem& fs) {
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
  CHECK(!plan.bounds.empty() || !NeedsQuantiles(dataset.schema()));
  TRESTLE_RETURN_IF_ERROR(CheckStatistics(numeric, plan.statistics));
  return std::unique_ptr<LaneReader>(std::make_unique<BlockLaneReader>(dataset, plan, fs));
}

}  // namespace trestle
