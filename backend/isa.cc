#include "backend/isa.h"

#include <glog/logging.h>
#include <libxsmm.h>
#include <oneapi/dnnl/dnnl.h>

#include <atomic>
#include <mutex>
#include <string>

#include "backend/bridge.h"

namespace trestle {
namespace {

// What the third-party libraries, too, hold once a process.
struct PinState {
  std::mutex mutex;
  std::atomic<int> pinned{-1};  // an InstructionSet, or -1
};

PinState& State() {
  static PinState state;
  return state;
}

InstructionSet Native() {
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  return avx512 ? InstructionSet::kAvx512 : InstructionSet::kAvx2;
}

const char* NameOf(InstructionSet set) {
  return set == InstructionSet::kAvx512 ? "avx512" : "avx2";
}

// Requires State().mutex.
Status PinLibraries(InstructionSet set) {
  const bool avx512 = set == InstructionSet::kAvx512;
  if (dnnl_set_max_cpu_isa(avx512 ? dnnl_cpu_isa_avx512_core : dnnl_cpu_isa_avx2) != dnnl_success) {
    return Status(StatusCode::kInternal,
                  "oneDNN was used before its instruction set was pinned: pin first");
  }
  libxsmm_init();
  libxsmm_set_target_archid(avx512 ? LIBXSMM_X86_AVX512_CORE : LIBXSMM_X86_AVX2);
  State().pinned.store(static_cast<int>(set), std::memory_order_release);
  return Ok();
}

}  // namespace

InstructionSet ActiveInstructionSet() {
  PinState& state = State();
  int pinned = state.pinned.load(std::memory_order_acquire);
  if (pinned < 0) {
    std::lock_guard lock(state.mutex);
    if (state.pinned.load() < 0) {
      const Status status = PinLibraries(Native());
      CHECK(status.ok()) << status.ToString();
    }
    pinned = state.pinned.load();
  }
  return static_cast<InstructionSet>(pinned);
}

std::string NativeInstructionSet() { return NameOf(Native()); }

Status PinInstructionSet(const std::string& name) {
  if (name != "avx2" && name != "avx512") {
    return Status(StatusCode::kUnsupported,
                  "unknown instruction set \"" + name + "\": allowed are avx2 and avx512");
  }
  const InstructionSet set = name == "avx512" ? InstructionSet::kAvx512 : InstructionSet::kAvx2;
  if (set > Native()) {
    return Status(StatusCode::kUnsupported, "this machine lacks the instruction set " + name +
                                                ": it has " + NativeInstructionSet());
  }
  PinState& state = State();
  std::lock_guard lock(state.mutex);
  const int pinned = state.pinned.load();
  if (pinned == static_cast<int>(set)) return Ok();
  if (pinned >= 0) {
    return Status(StatusCode::kInternal, "the instruction set " + name +
                                             " comes too late: kernels already run with " +
                                             NameOf(static_cast<InstructionSet>(pinned)));
  }
  return PinLibraries(set);
}

std::string KernelLibraryVersions() {
  const dnnl_version_t* dnnl = dnnl_version();
  return "oneDNN " + std::to_string(dnnl->major) + "." + std::to_string(dnnl->minor) + "." +
         std::to_string(dnnl->patch) + ", LIBXSMM " + std::to_string(LIBXSMM_VERSION_MAJOR) + "." +
         std::to_string(LIBXSMM_VERSION_MINOR);
}

}  // namespace trestle
