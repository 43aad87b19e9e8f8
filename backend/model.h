// Model: forward code over named slots. A model declares its settings (a message beside it), checks
// that the features it names exist, registers its layers' parameters, and computes one logit a row.
// Adding one: a .cc, a .proto, a member of model.proto's oneof and a line in models.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/layers.pb.h"
#include "backend/models/model.pb.h"
#include "backend/tape.h"
#include "base/status.h"

namespace trestle {

// One embedding input: the rows of one feature column.
struct SlotSpec {
  std::string name;        // the column: "cate_id", "hist_cate"
  int dim = 0;
  int sequence_group = -1; // of a list: slots of one group share offsets; -1: one id a row
  std::optional<Pooling> pooling = {};  // of a bag, which is pooled so in every model
  bool list() const { return sequence_group >= 0; }
  bool sequence() const { return list() && !pooling; }
};

struct ModelInputSpec {
  std::vector<SlotSpec> slots;
  int numeric_width = 0;
};

// What a model can show of a row beside its logit.
struct ModelOutputSpec {
  struct Embedding {
    std::string name;
    int dim = 0;
  };
  std::vector<int> attention;  // sequence groups whose items it weighs
  std::vector<Embedding> embeddings;
};

// The same of a lane, on the tape.
struct ModelOutput {
  std::vector<Var> attention;   // [items of the group, 1]
  std::vector<Var> embeddings;  // [rows, dim]
};

// A lane's inputs on the tape.
struct ModelInput {
  int64_t rows = 0;
  std::vector<Var> slots;         // [rows, dim], or [total, dim] for a list
  std::vector<Offsets> offsets;   // per slot; empty span unless a list
  Var numeric = nullptr;          // [rows, numeric_width]; null if that is 0
  ModelOutput* output = nullptr;  // to be filled, in evaluation alone; null: nobody asks
};

class NetworkModel {
 public:
  virtual ~NetworkModel() = default;
  // -> logits [rows, 1]. const: all state is on the tape, so any thread may run any lane.
  virtual Var Forward(Tape& tape, const ModelInput& input) const = 0;
  virtual ModelOutputSpec outputs() const = 0;
};

// Builds the configured model and registers its parameters. kInvalidConfig names what is missing and
// lists the features there are. `seed` feeds dropout.
Result<std::unique_ptr<NetworkModel>> MakeModel(const Model& config, const ModelInputSpec& inputs,
                                                uint64_t seed, ParameterSet* parameters,
                                                StatisticSet* statistics);

}  // namespace trestle
