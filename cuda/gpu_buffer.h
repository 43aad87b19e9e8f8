// GpuBuffer: memory of the device that is given back with the object.
//
// Thread safety: one thread. Ownership: the runtime is borrowed and must outlive it.
// Errors: of GpuRuntime; a failure to give memory back is logged, since nobody could do anything.
#pragma once

#include <glog/logging.h>

#include <cstdint>
#include <utility>

#include "base/gpu_runtime.h"

namespace trestle::cuda {

class GpuBuffer {
 public:
  explicit GpuBuffer(GpuRuntime* runtime) : runtime_(runtime) {}
  GpuBuffer(GpuBuffer&& other) noexcept { *this = std::move(other); }
  GpuBuffer& operator=(GpuBuffer&& other) noexcept {
    std::swap(runtime_, other.runtime_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~GpuBuffer() { Release(); }

  int64_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

  // At least that many bytes; what was in it is lost where it grows. No step may still use it.
  Status Hold(int64_t bytes) {
    if (bytes <= bytes_) return {};
    Release();
    TRESTLE_ASSIGN_OR_RETURN(data_, runtime_->Allocate(static_cast<size_t>(bytes)));
    bytes_ = bytes;
    return {};
  }

 private:
  void Release() {
    if (data_ == nullptr) return;
    const Status freed = runtime_->Free(data_);
    LOG_IF(ERROR, !freed.ok()) << freed.ToString();
    data_ = nullptr;
    bytes_ = 0;
  }

  GpuRuntime* runtime_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace trestle::cuda
