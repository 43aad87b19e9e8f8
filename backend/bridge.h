// The bridge: all that the worker and a dense backend know of each other. Embedding inputs go in as
// tensors; loss, predictions and the gradients of those inputs come out. Built-in models run behind it
// on the tape (cpu_backend.cc); another framework could stand in their place. Tensors can be viewed as
// DLPack (dlpack.h).
//
// What is summed over lanes and workers (parameter gradients, statistics, losses, rows) lives in one
// flat vector of 64-bit fixed-point values, so that adding in any order gives the same bits.
//
// Thread safety: RunLane may run on several threads at once, each with its own `thread` index; the
// other methods by one thread while no RunLane runs. Device: host.
// Source: the bridge of XDL (Jiang et al., DLP-KDD 2019).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/loss.pb.h"
#include "backend/model.h"
#include "backend/optimizer.pb.h"
#include "base/fixed_point.h"
#include "base/status.h"

namespace trestle {

// The embedding rows of one slot of one lane. Owned by the caller.
struct SlotTensor {
  int64_t count = 0;                   // rows of values: the lane's rows, or items for a sequence
  int dim = 0;
  const int32_t* offsets = nullptr;    // [rows + 1] for a sequence, else null
  float* values = nullptr;             // [count, dim]
  float* gradient = nullptr;           // [count, dim], written in training: of the *sum* of losses
};

// What the model shows of a lane beside its logits, per ModelOutputSpec.
struct LaneOutputs {
  std::vector<std::vector<float>> attention;   // [items of the group]
  std::vector<std::vector<float>> embeddings;  // [rows, dim]
};

struct LaneTensors {
  int64_t rows = 0;
  std::vector<SlotTensor> slots;       // in the order of ModelInputSpec
  const float* numeric = nullptr;      // [rows, numeric_width]
  const float* labels = nullptr;       // [rows], 0 or 1
  const float* weights = nullptr;      // [rows] of the losses; null: all 1
  float* logits = nullptr;             // [rows], written
  LaneOutputs* outputs = nullptr;      // written in evaluation where it is given
};

struct StepTotals {
  int64_t rows = 0;       // over all lanes of the step
  double loss_sum = 0;    // sum of weighted losses
  bool bad = false;       // a term was NaN, infinite or beyond the fixed-point range
};

class DenseBackend {
 public:
  virtual ~DenseBackend() = default;

  // Before the lanes of a step: forgets the sums.
  virtual void BeginStep() = 0;
  // Forward, and in training backward, of one lane. Adds to this worker's sums; in evaluation only
  // loss and rows. A non-finite or too large term marks the step as bad and adds nothing.
  virtual void RunLane(int thread, LanePosition position, bool training, LaneTensors& lane) = 0;
  // Whether any lane of this worker was bad so far. `what` of the first: "gradient of mlp.0.weight: NaN".
  virtual bool bad(std::string* what) const = 0;
  // This worker's sums, to be all-reduced in place (after merging those of its threads).
  virtual std::span<int64_t> Sums() = 0;
  // Reads rows, loss and bad from the reduced sums.
  virtual StepTotals Totals() const = 0;
  // In training, from the reduced sums: divides by the rows, clips, steps the optimizer and the
  // running statistics. `step` counts from 1; the learning rate is times `lr_factor`. Every worker
  // computes the same bits.
  virtual void ApplyStep(int64_t step, float lr_factor) = 0;

  virtual const ParameterSet& parameters() const = 0;
  virtual const StatisticSet& statistics() const = 0;
  virtual FixedUnit unit() const = 0;
  virtual ModelOutputSpec outputs() const = 0;
  // Hash over parameters, optimizer state and statistics.
  virtual uint64_t Digest() const = 0;
  // All state as named float vectors: "mlp.0.weight", "adam.m/mlp.0.weight", "statistic/...". For files.
  virtual std::vector<std::pair<FlatSlice, std::span<float>>> State() = 0;
};

struct BackendOptions {
  Model model;
  DenseOptimizer optimizer;
  ModelInputSpec inputs;
  uint64_t seed = 0;
  int threads = 1;
  int64_t lane_rows = 256;   // the most rows a lane can have: fixes the fixed-point unit
  Loss loss;
};

Result<std::unique_ptr<DenseBackend>> MakeCpuBackend(const BackendOptions& options);

// The instruction set that kernels run with on this machine ("avx2", "avx512"), and pinning oneDNN,
// LIBXSMM and our own kernels to a lower one. Pin before any kernel runs. kUnsupported if it is unknown
// or this machine lacks it.
std::string NativeInstructionSet();
Status PinInstructionSet(const std::string& name);
std::string KernelLibraryVersions();  // "oneDNN 2.6.3, LIBXSMM 1.17"

}  // namespace trestle
