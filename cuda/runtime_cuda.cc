#include "cuda/runtime_cuda.h"

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>

namespace trestle::cuda {
namespace {

constexpr GpuStream kNoStream{nullptr};

cudaStream_t Native(GpuStream stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t Native(GpuEvent event) { return static_cast<cudaEvent_t>(event.handle); }

StatusCode CodeOf(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return StatusCode::kOutOfMemory;
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorDevicesUnavailable:
      return StatusCode::kUnsupported;
    default:
      return StatusCode::kInternal;
  }
}

Status Outcome(cudaError_t error, const std::string& what, GpuStream stream = kNoStream) {
  if (error == cudaSuccess) return {};
  static_cast<void>(cudaGetLastError());  // or the next call would report it again
  int device = -1;
  std::string text = "CUDA: " + what;
  if (cudaGetDevice(&device) == cudaSuccess) {
    text.append(", device ").append(std::to_string(device));
  }
  if (stream.handle != nullptr) {
    text.append(", stream ").append(std::to_string(reinterpret_cast<uintptr_t>(stream.handle)));
  }
  text.append(": ").append(cudaGetErrorString(error));
  text.append(" (").append(cudaGetErrorName(error)).append(")");
  return {CodeOf(error), text};
}

class LinkedRuntime final : public GpuRuntime {
 public:
  int DriverVersion() const override {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
  }

  int RuntimeVersion() const override {
    int version = 0;
    return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
  }

  Result<int> DeviceCount() const override {
    int count = 0;  // which stays as it is without a driver
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorNoDevice) {
      static_cast<void>(cudaGetLastError());
      return 0;
    }
    TRESTLE_RETURN_IF_ERROR(Outcome(error, "counting devices"));
    return count;
  }

  Result<GpuDevice> Properties(int device) const override {
    cudaDeviceProp found = {};
    TRESTLE_RETURN_IF_ERROR(
        Outcome(cudaGetDeviceProperties(&found, device), "looking at " + std::to_string(device)));
    return GpuDevice{device,
                     found.name,
                     found.major,
                     found.minor,
                     found.multiProcessorCount,
                     static_cast<int64_t>(found.totalGlobalMem)};
  }

  Status Use(int device) override {
    return Outcome(cudaSetDevice(device), "choosing device " + std::to_string(device));
  }

  Result<int64_t> FreeBytes() const override {
    size_t free = 0, total = 0;
    TRESTLE_RETURN_IF_ERROR(Outcome(cudaMemGetInfo(&free, &total), "asking for free memory"));
    return static_cast<int64_t>(free);
  }

  Result<void*> Allocate(size_t bytes) override {
    void* memory = nullptr;
    TRESTLE_RETURN_IF_ERROR(
        Outcome(cudaMalloc(&memory, bytes), "taking " + std::to_string(bytes) + " bytes"));
    return memory;
  }

  Status Free(void* memory) override { return Outcome(cudaFree(memory), "giving memory back"); }

  Result<void*> AllocatePinned(size_t bytes) override {
    void* memory = nullptr;
    TRESTLE_RETURN_IF_ERROR(Outcome(cudaMallocHost(&memory, bytes),
                                    "taking " + std::to_string(bytes) + " bytes of pinned memory"));
    return memory;
  }

  Status FreePinned(void* memory) override {
    return Outcome(cudaFreeHost(memory), "giving pinned memory back");
  }

  Result<GpuStream> MakeStream() override {
    cudaStream_t stream = nullptr;
    TRESTLE_RETURN_IF_ERROR(
        Outcome(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream"));
    return GpuStream{stream};
  }

  Status Destroy(GpuStream stream) override {
    return Outcome(cudaStreamDestroy(Native(stream)), "ending a stream", stream);
  }

  Status Synchronize(GpuStream stream) override {
    return Outcome(cudaStreamSynchronize(Native(stream)), "waiting for a stream", stream);
  }

  Result<GpuEvent> MakeEvent() override {
    cudaEvent_t event = nullptr;
    TRESTLE_RETURN_IF_ERROR(
        Outcome(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event"));
    return GpuEvent{event};
  }

  Status Destroy(GpuEvent event) override {
    return Outcome(cudaEventDestroy(Native(event)), "ending an event");
  }

  Status Record(GpuEvent event, GpuStream stream) override {
    return Outcome(cudaEventRecord(Native(event), Native(stream)), "recording an event", stream);
  }

  Status Wait(GpuStream stream, GpuEvent event) override {
    return Outcome(cudaStreamWaitEvent(Native(stream), Native(event), 0), "waiting for an event",
                   stream);
  }

  Result<bool> Done(GpuEvent event) override {
    const cudaError_t error = cudaEventQuery(Native(event));
    if (error == cudaErrorNotReady) {
      static_cast<void>(cudaGetLastError());  // else the next launch would be taken to have failed
      return false;
    }
    TRESTLE_RETURN_IF_ERROR(Outcome(error, "looking at an event"));
    return true;
  }

  Status CopyAsync(void* to, const void* from, size_t bytes, Copy kind, GpuStream stream) override {
    const cudaMemcpyKind native = kind == Copy::kToDevice ? cudaMemcpyHostToDevice
                                  : kind == Copy::kToHost ? cudaMemcpyDeviceToHost
                                                          : cudaMemcpyDeviceToDevice;
    return Outcome(cudaMemcpyAsync(to, from, bytes, native, Native(stream)),
                   "copying " + std::to_string(bytes) + " bytes", stream);
  }

  Status FillAsync(void* memory, unsigned char byte, size_t bytes, GpuStream stream) override {
    return Outcome(cudaMemsetAsync(memory, byte, bytes, Native(stream)),
                   "filling " + std::to_string(bytes) + " bytes", stream);
  }
};

}  // namespace

GpuRuntime& Runtime() {
  static LinkedRuntime runtime;
  return runtime;
}

}  // namespace trestle::cuda
