// How much memory this process may still take before the kernel ends it: what the machine has
// available, or what its cgroup (v2) leaves, whichever is less. Thread safety: pure but for reading
// /proc and /sys. Takes about 30 us.
#pragma once

#include <cstdint>

namespace trestle {

// Bytes; the largest int64 where the system does not say.
int64_t AvailableMemoryBytes();

}  // namespace trestle
