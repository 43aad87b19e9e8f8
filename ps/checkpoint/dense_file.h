// dense.safetensors: the network's parameters and optimizer state, float32 matrices behind a
// safetensors header.
//
// Thread safety: pure functions of the filesystem.
// Errors: kIoError; kCorrupt with file, expected, found. What is returned was verified.
#pragma once

#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "ps/checkpoint/manifest.pb.h"

namespace trestle {

inline constexpr char kDenseFileName[] = "dense.safetensors";

struct NamedTensor {
  std::string name;
  int rows = 0, cols = 0;
  std::vector<float> values;  // [rows, cols]
};

Result<FileEntry> WriteDenseFile(FileSystem& fs, const std::string& folder,
                                 const std::vector<NamedTensor>& tensors);
Result<std::vector<NamedTensor>> ReadDenseFile(FileSystem& fs, const std::string& folder,
                                               const FileEntry& entry);

}  // namespace trestle
