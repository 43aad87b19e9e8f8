// The built-in models, each made by one function of its own source. models.cc lists them; a new
// model adds a function here, a line there, and a member to model.proto.
//
// Thread safety: used by one thread while a backend is built.
// Errors: kInvalidConfig with every mistake of the settings; nothing is registered then.
#pragma once

#include <memory>

#include "backend/layers.h"
#include "backend/model.h"

namespace trestle {

Result<std::unique_ptr<NetworkModel>> MakeBaseModel(const Base& settings,
                                                    const ModelInputSpec& inputs,
                                                    const LayerContext& context);
Result<std::unique_ptr<NetworkModel>> MakeDinModel(const Din& settings,
                                                   const ModelInputSpec& inputs,
                                                   const LayerContext& context);

// A list's items [total, dim] -> [rows, dim]: a bag's as it says, a sequence's as the model does.
Var PoolList(Tape& tape, const SlotSpec& slot, Var items, Offsets offsets, Pooling of_sequences);

// The matrices side by side; a single one is passed on as it is.
Var Concatenate(Tape& tape, std::span<const Var> parts);

}  // namespace trestle
