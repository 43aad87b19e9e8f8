// The instruction set that every kernel of this process runs with: our own (vector_math.h),
// oneDNN's and LIBXSMM's. Ranks agree on the lowest one they have and pin it (PinInstructionSet in
// bridge.h), since products differ in their last bits between instruction sets.
//
// Process-wide by nature: the libraries keep one setting a process, and it cannot change after
// their first kernel. Thread safety: all functions may be called by any thread.
#pragma once

namespace trestle {

enum class InstructionSet { kAvx2, kAvx512 };

// The pinned one; where nobody has pinned, pins the native one first. Every kernel asks this before
// it runs, which is an atomic read.
InstructionSet ActiveInstructionSet();

}  // namespace trestle
