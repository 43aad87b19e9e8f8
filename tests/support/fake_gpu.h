// FakeGpu: a GpuRuntime on the host, for what the plugin's host side decides, counts and recovers.
// Its memory is the host's, its streams do everything at once, in the caller's thread.
//
// Thread safety: one thread. Ownership: `live()` tells what was not given back.
// Errors: what a test sets: a limit of memory, an operation that fails.
#pragma once

#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "base/gpu_runtime.h"
#include "base/plugin.h"

namespace trestle {

class FakeGpu : public GpuRuntime {
 public:
  int driver = 13000;
  int runtime = 13000;
  std::vector<GpuDevice> devices = {Device(0, "Fake H100", 9, 0)};
  int64_t limit_bytes = int64_t{1} << 40;
  std::string failing;  // "copying": operations of that name fail

  static GpuDevice Device(int index, const std::string& name, int major, int minor) {
    return {index, name, major, minor, 132, int64_t{80} << 30};
  }

  int64_t live() const { return static_cast<int64_t>(memory_.size()) + handles_; }
  int64_t used_bytes() const { return used_; }
  int64_t copied_bytes() const { return copied_; }

  int DriverVersion() const override { return driver; }
  int RuntimeVersion() const override { return runtime; }
  Result<int> DeviceCount() const override {
    TRESTLE_RETURN_IF_ERROR(Do("counting devices"));
    return static_cast<int>(devices.size());
  }
  Result<GpuDevice> Properties(int device) const override {
    return devices.at(static_cast<size_t>(device));
  }
  Status Use(int) override { return Do("choosing"); }
  Result<int64_t> FreeBytes() const override { return limit_bytes - used_; }

  Result<void*> Allocate(size_t bytes) override {
    TRESTLE_RETURN_IF_ERROR(Do("taking"));
    if (used_ + static_cast<int64_t>(bytes) > limit_bytes) {
      std::string text = "CUDA: taking ";
      text.append(std::to_string(bytes)).append(" bytes, device 0: out of memory");
      return Status(StatusCode::kOutOfMemory, text);
    }
    void* const memory = ::operator new(bytes, std::align_val_t(256));
    std::memset(memory, 0xA5, bytes);  // as a device's: what was there before
    memory_[memory] = bytes;
    used_ += static_cast<int64_t>(bytes);
    return memory;
  }
  Status Free(void* memory) override {
    const auto it = memory_.find(memory);
    if (it == memory_.end()) return {StatusCode::kInternal, "CUDA: giving memory back: not taken"};
    used_ -= static_cast<int64_t>(it->second);
    memory_.erase(it);
    ::operator delete(memory, std::align_val_t(256));
    return {};
  }
  Result<void*> AllocatePinned(size_t bytes) override { return Allocate(bytes); }
  Status FreePinned(void* memory) override { return Free(memory); }

  Result<GpuStream> MakeStream() override {
    ++handles_;
    return GpuStream{this};
  }
  Status Destroy(GpuStream) override {
    --handles_;
    return {};
  }
  Status Synchronize(GpuStream) override { return Do("waiting"); }
  Result<GpuEvent> MakeEvent() override {
    ++handles_;
    return GpuEvent{this};
  }
  Status Destroy(GpuEvent) override {
    --handles_;
    return {};
  }
  Status Record(GpuEvent, GpuStream) override { return {}; }
  Status Wait(GpuStream, GpuEvent) override { return {}; }
  Result<bool> Done(GpuEvent) override { return event_done; }

  Status CopyAsync(void* to, const void* from, size_t bytes, Copy, GpuStream) override {
    TRESTLE_RETURN_IF_ERROR(Do("copying"));
    std::memcpy(to, from, bytes);
    copied_ += static_cast<int64_t>(bytes);
    return {};
  }
  Status FillAsync(void* memory, unsigned char byte, size_t bytes, GpuStream) override {
    TRESTLE_RETURN_IF_ERROR(Do("filling"));
    std::memset(memory, byte, bytes);
    return {};
  }

  bool event_done = true;

 private:
  Status Do(const std::string& what) const {
    if (what != failing) return {};
    return {StatusCode::kInternal, "CUDA: " + what + ", device 0: unspecified launch failure"};
  }

  std::map<void*, size_t> memory_;
  int64_t used_ = 0;
  int64_t copied_ = 0;
  int64_t handles_ = 0;
};

// A plugin on it.
class FakePlugin : public GpuPlugin {
 public:
  FakeGpu gpu;
  std::vector<std::string> missing;
  std::string Libraries() const override { return "a fake"; }
  GpuRuntime& runtime() override { return gpu; }
  std::vector<std::string> MissingParts() const override { return missing; }
};

}  // namespace trestle
