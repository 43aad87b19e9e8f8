// GpuRuntime: what Trestle needs of the CUDA runtime, as an interface. The plugin implements it
// with CUDA (cuda/runtime_cuda.cc); tests implement it on the CPU (tests/support/fake_gpu.h), so
// that whatever decides, counts and recovers on the host is tested where there is no GPU.
//
// Thread safety: all methods from any thread; `Use` is of the calling thread, as in CUDA.
// Ownership: who made a stream, an event or memory gives it back; handles are plain values.
// Device: host. Errors: kUnsupported without driver or device, kOutOfMemory, kInternal for the
// rest; the message names the operation, the device, the stream where there is one, and CUDA's own
// words.
// Source: CUDA Runtime API reference, version 13.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace trestle {

// cudaStream_t and cudaEvent_t. Null: CUDA's default stream; no event.
struct GpuStream {
  void* handle = nullptr;
};
struct GpuEvent {
  void* handle = nullptr;
};

struct GpuDevice {
  int index = 0;
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int major = 0;     // compute capability: 9, 0 is sm_90
  int minor = 0;
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
};

class GpuRuntime {
 public:
  enum class Copy { kToDevice, kToHost, kOnDevice };

  virtual ~GpuRuntime() = default;

  // 13000 is 13.0, the latest CUDA that the driver knows. 0: there is no driver.
  virtual int DriverVersion() const = 0;
  // Of the libcudart that is loaded.
  virtual int RuntimeVersion() const = 0;
  virtual Result<int> DeviceCount() const = 0;  // 0 where a driver finds none
  virtual Result<GpuDevice> Properties(int device) const = 0;

  // The device that the calling thread's other calls are about.
  virtual Status Use(int device) = 0;
  virtual Result<int64_t> FreeBytes() const = 0;

  // Memory of the device, aligned to 256 bytes, not initialized.
  virtual Result<void*> Allocate(size_t bytes) = 0;
  virtual Status Free(void* memory) = 0;
  // Host memory that copies run from and to while the host goes on.
  virtual Result<void*> AllocatePinned(size_t bytes) = 0;
  virtual Status FreePinned(void* memory) = 0;

  virtual Result<GpuStream> MakeStream() = 0;
  virtual Status Destroy(GpuStream stream) = 0;
  virtual Status Synchronize(GpuStream stream) = 0;

  virtual Result<GpuEvent> MakeEvent() = 0;
  virtual Status Destroy(GpuEvent event) = 0;
  virtual Status Record(GpuEvent event, GpuStream stream) = 0;
  virtual Status Wait(GpuStream stream, GpuEvent event) = 0;  // the stream, not the host
  virtual Result<bool> Done(GpuEvent event) = 0;

  // In the stream's order. Ranges must not overlap.
  virtual Status CopyAsync(void* to, const void* from, size_t bytes, Copy kind,
                           GpuStream stream) = 0;
  virtual Status FillAsync(void* memory, unsigned char byte, size_t bytes, GpuStream stream) = 0;
};

}  // namespace trestle
