// Step: all memory of one step on one rank, worker's and server's side, and the Lookup that a
// worker sees of it. Steps are pooled: a Lookup that is destroyed gives its Step to a later
// Prepare.
//
// Thread safety: written by the keys thread until Prepare returns, by the main thread afterwards
// (that is the only hand-over between them); Gather and Accumulate of different lanes concurrently.
// Ownership: a StepLookup owns its Step and shares the pool, so it may outlive the Client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "ps/buffer.h"
#include "ps/client.h"
#include "ps/server_keys.h"
#include "ps/topology.h"
#include "ps/wire.h"
#include "ps/worker_keys.h"

namespace trestle {

struct Step {
  AgreedHeader header;
  bool training() const { return header.action == Action::kTrain; }
  bool has_keys() const {
    return header.action == Action::kTrain || header.action == Action::kEvaluate;
  }

  // Worker. rows holds message 3 of each server as it came in, so Gather reads where it was
  // received; section_begin[s] (bytes) and layouts[s] say where. row_of[t][position] counts in
  // floats.
  std::vector<LaneKeys> lanes;
  std::vector<WorkerTable> worker;
  std::vector<RowLayout> layouts;
  std::vector<size_t> section_begin;  // [servers + 1]
  Buffer<std::byte> rows;
  std::vector<Buffer<uint32_t>> row_of;
  std::vector<Buffer<float>> sums;    // [tables] of [positions, dim]
  std::vector<uint8_t> sums_started;  // [lanes * tables] whether the lane has cleared its sums
  int64_t unique_keys = 0;
  int64_t occurrences = 0;
  int64_t remote_keys = 0;
  int64_t needed_bytes = 0;
  int64_t unseen_keys = 0;
  int64_t unseen_occurrences = 0;

  // Server.
  std::vector<ServerTable> server;
  bool pulled = false;

  float* row(size_t server_index, size_t table) {
    return reinterpret_cast<float*>(rows.data() + section_begin[server_index] +
                                    layouts[server_index].rows(table));
  }
};

// Lays out `rows` and finds each position's row in it. After worker tables are built.
Status LayOutRows(const Topology& topology, Step* step);

// Clears the sums of lanes and tables that no gradient was added to.
void FinishSums(const Topology& topology, Step* step);

// Steps that wait for their next use. As many as were ever alive at once: the caller's queue bounds
// it.
class StepPool {
 public:
  std::unique_ptr<Step> Acquire();
  void Release(std::unique_ptr<Step> step);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Step>> free_;
};

class StepLookup final : public Lookup {
 public:
  StepLookup(std::shared_ptr<const Topology> topology, std::shared_ptr<StepPool> pool,
             std::unique_ptr<Step> step)
      : topology_(std::move(topology)), pool_(std::move(pool)), step_(std::move(step)) {}
  ~StepLookup() override { pool_->Release(std::move(step_)); }

  const AgreedHeader& header() const override { return step_->header; }
  int64_t unique_keys() const override { return step_->unique_keys; }
  int64_t occurrences() const override { return step_->occurrences; }
  int64_t remote_keys() const override { return step_->remote_keys; }
  int64_t needed_bytes() const override { return step_->needed_bytes; }
  int64_t unseen_keys() const override { return step_->unseen_keys; }
  int64_t unseen_occurrences() const override { return step_->unseen_occurrences; }
  std::span<const int32_t> offsets(int lane, int slot) const override;
  void Gather(int lane, int slot, float* out) const override;
  void Accumulate(int lane, int slot, const float* gradient) override;

  Step& step() { return *step_; }

 private:
  // Positions of the occurrences of a slot in a lane.
  std::span<const uint32_t> Positions(int lane, int slot) const;

  const std::shared_ptr<const Topology> topology_;
  const std::shared_ptr<StepPool> pool_;
  std::unique_ptr<Step> step_;
};

}  // namespace trestle
