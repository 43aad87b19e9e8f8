// The bridge's tensors as DLPack views, so that another framework can be the dense backend without
// copies. The views borrow: the lane's buffers must outlive them, and freeing a view frees only
// itself.
//
// Thread safety: pure functions. Ownership: the caller owns the view; a framework that takes it
// over (release()) calls its deleter itself. Device: host; row-major; float32, and int32 for
// offsets. Source: dmlc/dlpack, version 0.6 of the structure (DLManagedTensor).
#pragma once

#include <memory>

#include "backend/bridge.h"

struct DLManagedTensor;

namespace trestle {

struct DlpackDeleter {
  void operator()(DLManagedTensor* tensor) const;
};
using DlpackView = std::unique_ptr<DLManagedTensor, DlpackDeleter>;

// [count, dim]
DlpackView ViewValues(const SlotTensor& slot);
// [count, dim], for the framework to write. Null if the slot has no gradient (evaluation).
DlpackView ViewGradient(const SlotTensor& slot);
// [rows + 1]. Null unless the slot is a sequence.
DlpackView ViewOffsets(const SlotTensor& slot, int64_t rows);
// [rows, width] of any float matrix: numeric features, labels, logits.
DlpackView ViewMatrix(const float* data, int64_t rows, int64_t width);

}  // namespace trestle
