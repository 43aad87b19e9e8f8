// Deep Interest Network: the user's history is pooled with weights that depend on the candidate.
// x0 = [other features in order, their sequences and bags pooled; candidate t; v_user; numeric] ->
// MLP, v_user = sum_j w(t, h_j) h_j. Source: DIN paper (Zhou et al., KDD 2018), section 4.3.
#include <algorithm>

#include "backend/models/models.h"
#include "backend/ops.h"
#include "base/nearest_name.h"

namespace trestle {
namespace {

// Which slots play which part, as indices into ModelInputSpec::slots.
struct DinSlots {
  std::vector<int> candidate;
  std::vector<int> history;
  std::vector<int> others;
  int dim = 0;  // of the candidate, and of a history item
};

using NameList = google::protobuf::RepeatedPtrField<std::string>;

// A sequence, or else one id a row. A bag is neither: its pooling is its own.
bool IsOfKind(const SlotSpec& slot, bool sequence) {
  return sequence ? slot.sequence() : !slot.list();
}

std::string KindOf(const SlotSpec& slot) {
  return slot.sequence() ? "a sequence" : slot.list() ? "a bag" : "an id";
}

std::vector<std::string> SlotNames(const ModelInputSpec& inputs, bool sequence) {
  std::vector<std::string> names;
  for (const SlotSpec& slot : inputs.slots) {
    if (IsOfKind(slot, sequence)) names.push_back(slot.name);
  }
  return names;
}

// Resolves the names of one field. Adds a mistake for each unknown, repeated or ill-typed name.
std::vector<int> ResolveNames(const NameList& names, const std::string& field, bool sequence,
                              const ModelInputSpec& inputs, ConfigCheck* check) {
  const std::string kind = sequence ? "sequence" : "id";
  const std::vector<std::string> known = SlotNames(inputs, sequence);
  const std::string there_are = kind + " features: " + (known.empty() ? "none" : JoinNames(known));
  if (names.empty()) {
    check->Add(field + ": is empty; name at least one " + kind + " feature; " + there_are);
  }
  std::vector<int> found;
  for (const std::string& name : names) {
    const auto slot = std::find_if(inputs.slots.begin(), inputs.slots.end(),
                                   [&](const SlotSpec& s) { return s.name == name; });
    if (slot == inputs.slots.end()) {
      check->Add(field + ": no feature \"" + name + "\"" + Suggestion(name, known) + there_are);
      continue;
    }
    const int index = static_cast<int>(slot - inputs.slots.begin());
    if (!IsOfKind(*slot, sequence)) {
      check->Add(field + ": \"" + name + "\" is " + KindOf(*slot) + " feature, must be " +
                 (sequence ? "a sequence" : "an id") + "; " + there_are);
    } else if (std::find(found.begin(), found.end(), index) != found.end()) {
      check->Add(field + ": \"" + name + "\" is named twice");
    } else {
      found.push_back(index);
    }
  }
  return found;
}

// History columns must be of one sequence, and each as wide as the candidate it stands against.
void CheckPairs(const DinSlots& slots, const ModelInputSpec& inputs, ConfigCheck* check) {
  const SlotSpec& first = inputs.slots[slots.history.front()];
  for (int index : slots.history) {
    const SlotSpec& slot = inputs.slots[index];
    if (slot.sequence_group == first.sequence_group) continue;
    check->Add("model.din.history: \"" + slot.name + "\" and \"" + first.name +
               "\" are of different sequences; put them into one `sequence` so that they have the "
               "same items");
  }
  if (slots.candidate.size() != slots.history.size()) {
    check->Add("model.din: " + std::to_string(slots.candidate.size()) + " candidate and " +
               std::to_string(slots.history.size()) + " history features; must be as many");
    return;
  }
  for (size_t i = 0; i < slots.candidate.size(); ++i) {
    const SlotSpec& candidate = inputs.slots[slots.candidate[i]];
    const SlotSpec& history = inputs.slots[slots.history[i]];
    if (candidate.dim == history.dim) continue;
    check->Add("model.din: candidate \"" + candidate.name + "\" has dim " +
               std::to_string(candidate.dim) + ", history \"" + history.name + "\" has dim " +
               std::to_string(history.dim) + "; must be equal (`like` shares one table)");
  }
}

DinSlots ResolveSlots(const Din& settings, const ModelInputSpec& inputs, ConfigCheck* check) {
  DinSlots slots;
  ConfigCheck names;
  slots.candidate =
      ResolveNames(settings.candidate(), "model.din.candidate", false, inputs, &names);
  slots.history = ResolveNames(settings.history(), "model.din.history", true, inputs, &names);
  if (names.ok()) CheckPairs(slots, inputs, check);
  check->Take(names.ToStatus());
  std::vector<bool> named(inputs.slots.size(), false);
  for (int index : slots.candidate) {
    named[index] = true;
    slots.dim += inputs.slots[index].dim;
  }
  for (int index : slots.history) named[index] = true;
  for (size_t i = 0; i < named.size(); ++i) {
    if (!named[i]) slots.others.push_back(static_cast<int>(i));
  }
  return slots;
}

int MlpInputWidth(const DinSlots& slots, const ModelInputSpec& inputs) {
  int width = 2 * slots.dim + inputs.numeric_width;
  for (int index : slots.others) width += inputs.slots[index].dim;
  return width;
}

class DinModel final : public NetworkModel {
 public:
  DinModel(const Din& settings, const ModelInputSpec& inputs, DinSlots slots,
           const LayerContext& context)
      : pooling_(settings.pooling()),
        inputs_(inputs.slots),
        slots_(std::move(slots)),
        group_(inputs.slots[slots_.history.front()].sequence_group),
        attention_(context, "attention", WithDefaults(settings.attention()), slots_.dim),
        mlp_(context, "mlp", WithDefaults(settings.mlp()), MlpInputWidth(slots_, inputs)) {}

  Var Forward(Tape& tape, const ModelInput& input) const override {
    const Var candidate = Gather(tape, slots_.candidate, input);
    const Var history = Gather(tape, slots_.history, input);
    const Offsets offsets = input.offsets[slots_.history.front()];

    std::vector<Var> parts;
    for (int index : slots_.others) {
      const Var slot = input.slots[index];
      const SlotSpec& spec = inputs_[index];
      parts.push_back(spec.list() ? PoolList(tape, spec, slot, input.offsets[index], pooling_)
                                  : slot);
    }
    parts.push_back(candidate);
    Var weights = nullptr, hidden = nullptr;
    const Var interest = attention_.Forward(tape, candidate, history, offsets, &weights);
    parts.push_back(interest);
    if (input.numeric != nullptr) parts.push_back(input.numeric);
    const Var logits =
        mlp_.Forward(tape, Concatenate(tape, parts), input.output ? &hidden : nullptr);
    if (input.output != nullptr) *input.output = {{weights}, {candidate, interest, hidden}};
    return logits;
  }

  ModelOutputSpec outputs() const override {
    return {{group_},
            {{"candidate", slots_.dim}, {"history", slots_.dim}, {"hidden", mlp_.hidden_units()}}};
  }

 private:
  static Var Gather(Tape& tape, const std::vector<int>& indices, const ModelInput& input) {
    std::vector<Var> columns;
    for (int index : indices) columns.push_back(input.slots[index]);
    return Concatenate(tape, columns);
  }

  Pooling pooling_;
  std::vector<SlotSpec> inputs_;
  DinSlots slots_;
  int group_;  // of the history
  AttentionUnit attention_;
  MlpLayer mlp_;
};

}  // namespace

Result<std::unique_ptr<NetworkModel>> MakeDinModel(const Din& settings,
                                                   const ModelInputSpec& inputs,
                                                   const LayerContext& context) {
  ConfigCheck check;
  DinSlots slots = ResolveSlots(settings, inputs, &check);
  CheckAttention(settings.attention(), "model.din.attention", &check);
  CheckMlp(settings.mlp(), "model.din.mlp", &check);
  TRESTLE_RETURN_IF_ERROR(check.ToStatus());
  return std::unique_ptr<NetworkModel>(
      std::make_unique<DinModel>(settings, inputs, std::move(slots), context));
}

}  // namespace trestle
