#include "backend/dlpack.h"

#include <dlpack/dlpack.h>

namespace trestle {
namespace {

// The view and the shape it points to, freed together.
struct Holder {
  DLManagedTensor tensor{};
  int64_t shape[2];
  int64_t strides[2];
};

DlpackView MakeView(const void* data, DLDataTypeCode code, int dimensions, int64_t rows,
                    int64_t width) {
  auto holder = std::make_unique<Holder>();
  holder->shape[0] = rows;
  holder->shape[1] = width;
  holder->strides[0] = width;
  holder->strides[1] = 1;
  DLTensor& tensor = holder->tensor.dl_tensor;
  tensor.data = const_cast<void*>(data);  // DLPack knows no const
  tensor.device = {kDLCPU, 0};
  tensor.ndim = dimensions;
  tensor.dtype = {static_cast<uint8_t>(code), 32, 1};
  tensor.shape = holder->shape;
  tensor.strides = holder->strides;
  tensor.byte_offset = 0;
  holder->tensor.manager_ctx = holder.get();
  holder->tensor.deleter = [](DLManagedTensor* self) {
    std::unique_ptr<Holder> freed(static_cast<Holder*>(self->manager_ctx));
  };
  return DlpackView(&holder.release()->tensor);
}

}  // namespace

void DlpackDeleter::operator()(DLManagedTensor* tensor) const { tensor->deleter(tensor); }

DlpackView ViewMatrix(const float* data, int64_t rows, int64_t width) {
  return MakeView(data, kDLFloat, 2, rows, width);
}

DlpackView ViewValues(const SlotTensor& slot) {
  return ViewMatrix(slot.values, slot.count, slot.dim);
}

DlpackView ViewGradient(const SlotTensor& slot) {
  if (slot.gradient == nullptr) return nullptr;
  return ViewMatrix(slot.gradient, slot.count, slot.dim);
}

DlpackView ViewOffsets(const SlotTensor& slot, int64_t rows) {
  if (slot.offsets == nullptr) return nullptr;
  return MakeView(slot.offsets, kDLInt, 1, rows + 1, 1);
}

}  // namespace trestle
