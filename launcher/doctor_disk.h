// Where runs are written, and where the ranks of a host exchange: the disk findings of doctor.h.
#pragma once

#include <string>

#include "launcher/doctor.h"

namespace trestle {

// The folder, or what is there of its path.
[[nodiscard]] std::string ExistingFolder(const Machine& machine, std::string folder);

[[nodiscard]] Finding SharedMemory(const Machine& machine);
// The kind of filesystem that the folder is on, or what is there of its path.
[[nodiscard]] Finding RunFolder(const Machine& machine, const std::string& run_folder);
// Its free space, and the speed of writing a file of 64 MiB.
[[nodiscard]] Finding Disk(const Machine& machine, const std::string& run_folder);

}  // namespace trestle
