#include "backend/models/models.h"

#include "backend/ops.h"

namespace trestle {
namespace {

using MakeFunction = Result<std::unique_ptr<NetworkModel>> (*)(const Model&, const ModelInputSpec&,
                                                               const LayerContext&);

struct ModelEntry {
  Model::KindCase kind;
  const char* name;
  MakeFunction make;
};

// Every model there is.
constexpr ModelEntry kModels[] = {
    {Model::kBase, "base",
     [](const Model& config, const ModelInputSpec& inputs, const LayerContext& context) {
       return MakeBaseModel(config.base(), inputs, context);
     }},
    {Model::kDin, "din",
     [](const Model& config, const ModelInputSpec& inputs, const LayerContext& context) {
       return MakeDinModel(config.din(), inputs, context);
     }},
};

}  // namespace

Var PoolList(Tape& tape, const SlotSpec& slot, Var items, Offsets offsets, Pooling of_sequences) {
  return JaggedPool(tape, items, offsets, slot.pooling.value_or(of_sequences));
}

Var Concatenate(Tape& tape, std::span<const Var> parts) {
  return parts.size() == 1 ? parts.front() : ConcatColumns<float>(tape, parts);
}

Result<std::unique_ptr<NetworkModel>> MakeModel(const Model& config, const ModelInputSpec& inputs,
                                                uint64_t seed, ParameterSet* parameters,
                                                StatisticSet* statistics) {
  std::string names;
  for (const ModelEntry& entry : kModels) {
    if (entry.kind == config.kind_case()) {
      return entry.make(config, inputs, LayerContext{parameters, statistics, seed});
    }
    names += std::string(names.empty() ? "" : ", ") + entry.name;
  }
  return Status(StatusCode::kInvalidConfig,
                "model: none is chosen; write one of " + names + ", for example model { base {} }");
}

}  // namespace trestle
