// Base (Embedding & MLP): every feature's embedding, histories pooled, into an MLP.
// x0 = [one-id features in order; pooled sequences and bags in order; numeric] -> MLP -> logit.
// Source: DIN paper (Zhou et al., KDD 2018), section 4.2.
#include "backend/models/models.h"
#include "backend/ops.h"

namespace trestle {
namespace {

class BaseModel final : public NetworkModel {
 public:
  BaseModel(const Base& settings, const ModelInputSpec& inputs, const LayerContext& context)
      : pooling_(settings.pooling()),
        slots_(inputs.slots),
        mlp_(context, "mlp", WithDefaults(settings.mlp()), InputWidth(inputs)) {}

  static int InputWidth(const ModelInputSpec& inputs) {
    int width = inputs.numeric_width;
    for (const SlotSpec& slot : inputs.slots) width += slot.dim;
    return width;
  }

  Var Forward(Tape& tape, const ModelInput& input) const override {
    std::vector<Var> parts;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!slots_[i].list()) parts.push_back(input.slots[i]);
    }
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (!slots_[i].list()) continue;
      parts.push_back(PoolList(tape, slots_[i], input.slots[i], input.offsets[i], pooling_));
    }
    if (input.numeric != nullptr) parts.push_back(input.numeric);
    Var hidden = nullptr;
    const Var logits =
        mlp_.Forward(tape, Concatenate(tape, parts), input.output ? &hidden : nullptr);
    if (input.output != nullptr) input.output->embeddings = {hidden};
    return logits;
  }

  ModelOutputSpec outputs() const override { return {{}, {{"hidden", mlp_.hidden_units()}}}; }

 private:
  Pooling pooling_;
  std::vector<SlotSpec> slots_;
  MlpLayer mlp_;
};

}  // namespace

Result<std::unique_ptr<NetworkModel>> MakeBaseModel(const Base& settings,
                                                    const ModelInputSpec& inputs,
                                                    const LayerContext& context) {
  ConfigCheck check;
  CheckMlp(settings.mlp(), "model.base.mlp", &check);
  if (BaseModel::InputWidth(inputs) == 0) {
    check.Add("model.base: there are no features; name at least one in `features`");
  }
  TRESTLE_RETURN_IF_ERROR(check.ToStatus());
  return std::unique_ptr<NetworkModel>(std::make_unique<BaseModel>(settings, inputs, context));
}

}  // namespace trestle
