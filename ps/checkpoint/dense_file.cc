#include "ps/checkpoint/dense_file.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/safetensors_header.h"

namespace trestle {
namespace {

constexpr char kType[] = "F32";

Result<std::string> MakeHeader(const std::string& path, const std::vector<NamedTensor>& tensors) {
  SafetensorsHeader header(SafetensorsHeader::Facts{{"format", "trestle"}});
  for (const NamedTensor& tensor : tensors) {
    const auto shape = static_cast<size_t>(tensor.rows) * static_cast<size_t>(tensor.cols);
    if (tensor.values.size() == shape &&
        header.Add(tensor.name, kType, {tensor.rows, tensor.cols}, shape * sizeof(float))) {
      continue;
    }
    return Status(StatusCode::kInternal, path + ": tensor " + tensor.name + " of " +
                                             std::to_string(tensor.values.size()) +
                                             " values: its name or shape is wrong");
  }
  return header.Text();
}

Result<NamedTensor> ParseTensor(const SafetensorsEntry& entry, std::string_view data) {
  const auto& shape = entry.shape;
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  const bool matrix = shape.size() == 2 && std::min(shape[0], shape[1]) >= 0 &&
                      std::max(shape[0], shape[1]) <= kMost;
  const size_t bytes = entry.end - entry.begin, values = bytes / sizeof(float);
  if (entry.type != kType || !matrix || bytes % sizeof(float) != 0 ||
      values != static_cast<size_t>(shape[0]) * static_cast<size_t>(shape[1])) {
    return Status(StatusCode::kCorrupt, "tensor " + entry.name + " is no F32 matrix");
  }
  NamedTensor parsed{entry.name, static_cast<int>(shape[0]), static_cast<int>(shape[1]), {}};
  parsed.values.resize(values);
  if (bytes > 0) std::memcpy(parsed.values.data(), data.data() + entry.begin, bytes);
  return parsed;
}

// `text` is verified; what does not fit was written by another program.
Result<std::vector<NamedTensor>> ParseDense(std::string_view text) {
  TRESTLE_ASSIGN_OR_RETURN(const SafetensorsParts file, ParseSafetensors(text));
  std::vector<NamedTensor> tensors;
  for (const SafetensorsEntry& entry : file.tensors) {
    TRESTLE_ASSIGN_OR_RETURN(NamedTensor parsed, ParseTensor(entry, file.data));
    tensors.push_back(std::move(parsed));
  }
  return tensors;
}

}  // namespace

Result<FileEntry> WriteDenseFile(FileSystem& fs, const std::string& folder,
                                 const std::vector<NamedTensor>& tensors) {
  const std::string path = folder + "/" + kDenseFileName;
  TRESTLE_ASSIGN_OR_RETURN(const std::string header, MakeHeader(path, tensors));
  TRESTLE_ASSIGN_OR_RETURN(const auto file, HashedFile::Create(fs, path));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(header))));
  for (const NamedTensor& tensor : tensors) {
    TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(tensor.values))));
  }
  FileEntry entry;
  entry.set_name(kDenseFileName);
  TRESTLE_ASSIGN_OR_RETURN(*entry.mutable_xxh3_128(), file->Finish());
  entry.set_bytes(file->bytes());
  return entry;
}

Result<std::vector<NamedTensor>> ReadDenseFile(FileSystem& fs, const std::string& folder,
                                               const FileEntry& entry) {
  const std::string path = folder + "/" + entry.name();
  TRESTLE_RETURN_IF_ERROR(CheckFileSize(fs, path, entry.bytes()));
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, ReadExactly(fs, path, 0, entry.bytes()));
  TRESTLE_RETURN_IF_ERROR(CheckHash(path, "", entry.xxh3_128(), Hash128(text)));
  auto tensors = ParseDense(text);
  if (!tensors.ok()) return tensors.status().Wrap(path);
  return tensors;
}

}  // namespace trestle
