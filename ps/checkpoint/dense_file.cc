#include "ps/checkpoint/dense_file.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "ps/checkpoint/hashed_file.h"

namespace trestle {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "files are little endian");

constexpr char kMetadata[] = "__metadata__";
constexpr size_t kSizeBytes = 8;  // of the header's size, in front of it

// The size and the header, padded so that the data begins at a multiple of 8.
Result<std::string> MakeHeader(const std::string& path, const std::vector<NamedTensor>& tensors) {
  Json header = {{kMetadata, {{"format", "trestle"}}}};
  size_t at = 0;
  for (const NamedTensor& tensor : tensors) {
    const size_t bytes = tensor.values.size() * sizeof(float);
    const auto shape = static_cast<size_t>(tensor.rows) * static_cast<size_t>(tensor.cols);
    if (header.contains(tensor.name) || tensor.values.size() != shape) {
      return Status(StatusCode::kInternal, path + ": tensor " + tensor.name + " of " +
                                               std::to_string(tensor.values.size()) +
                                               " values: its name or shape is wrong");
    }
    header[tensor.name] = {{"dtype", "F32"},
                           {"shape", {tensor.rows, tensor.cols}},
                           {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), kSizeBytes) + text;
}

Result<NamedTensor> ParseTensor(const std::string& name, const Json& tensor,
                                std::string_view data) {
  NamedTensor parsed{.name = name,
                     .rows = tensor.at("shape").at(0).get<int>(),
                     .cols = tensor.at("shape").at(1).get<int>(),
                     .values = {}};
  const auto begin = tensor.at("data_offsets").at(0).get<size_t>();
  const auto end = tensor.at("data_offsets").at(1).get<size_t>();
  const auto values = static_cast<size_t>(parsed.rows) * static_cast<size_t>(parsed.cols);
  if (tensor.at("dtype") != "F32" || parsed.rows < 0 || parsed.cols < 0 || begin > end ||
      end > data.size() || end - begin != values * sizeof(float)) {
    return Status(StatusCode::kCorrupt, "tensor " + name + " is no F32 matrix inside the file");
  }
  parsed.values.resize(values);
  if (values > 0) std::memcpy(parsed.values.data(), data.data() + begin, end - begin);
  return parsed;
}

// `text` is verified; what does not fit was written by another program.
Result<std::vector<NamedTensor>> ParseDense(std::string_view text) {
  uint64_t size = 0;
  if (text.size() < kSizeBytes) return Status(StatusCode::kCorrupt, "has no header");
  std::memcpy(&size, text.data(), kSizeBytes);
  if (size > text.size() - kSizeBytes) return Status(StatusCode::kCorrupt, "has no whole header");
  const std::string_view data = text.substr(kSizeBytes + size);
  std::vector<NamedTensor> tensors;
  try {
    const Json header = Json::parse(text.substr(kSizeBytes, size));
    for (const auto& [name, tensor] : header.items()) {
      if (name == kMetadata) continue;
      TRESTLE_ASSIGN_OR_RETURN(NamedTensor parsed, ParseTensor(name, tensor, data));
      tensors.push_back(std::move(parsed));
    }
  } catch (const nlohmann::json::exception& error) {
    return Status(StatusCode::kCorrupt, std::string("its header: ") + error.what());
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
