#include "ps/checkpoint/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

namespace trestle {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "files are little endian");

constexpr char kMetadata[] = "__metadata__";
constexpr size_t kSizeBytes = 8;  // of the header's size, in front of it

SafetensorsEntry ParseEntry(const std::string& name, const Json& tensor) {
  return {.name = name,
          .type = tensor.at("dtype").get<std::string>(),
          .shape = tensor.at("shape").get<std::vector<int64_t>>(),
          .begin = tensor.at("data_offsets").at(0).get<uint64_t>(),
          .end = tensor.at("data_offsets").at(1).get<uint64_t>()};
}

}  // namespace

bool SafetensorsHeader::Add(const std::string& name, const std::string& type,
                            const std::vector<int64_t>& shape, size_t bytes) {
  const auto taken = [&](const SafetensorsEntry& tensor) { return tensor.name == name; };
  if (name == kMetadata || std::any_of(tensors_.begin(), tensors_.end(), taken)) return false;
  const uint64_t begin = tensors_.empty() ? 0 : tensors_.back().end;
  tensors_.push_back({name, type, shape, begin, begin + bytes});
  return true;
}

std::string SafetensorsHeader::Text() const {
  Json header = Json::object();
  for (const auto& [name, value] : facts_) header[kMetadata][name] = value;
  for (const SafetensorsEntry& tensor : tensors_) {
    header[tensor.name] = {{"dtype", tensor.type},
                           {"shape", tensor.shape},
                           {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), kSizeBytes) + text;
}

Result<SafetensorsParts> ParseSafetensors(std::string_view text) {
  uint64_t size = 0;
  if (text.size() < kSizeBytes) return Status(StatusCode::kCorrupt, "has no header");
  std::memcpy(&size, text.data(), kSizeBytes);
  if (size > text.size() - kSizeBytes) return Status(StatusCode::kCorrupt, "has no whole header");
  SafetensorsParts parts;
  parts.data = text.substr(kSizeBytes + size);
  try {
    const Json header = Json::parse(text.substr(kSizeBytes, size));
    for (const auto& [name, tensor] : header.items()) {
      if (name == kMetadata) continue;
      parts.tensors.push_back(ParseEntry(name, tensor));
      const SafetensorsEntry& entry = parts.tensors.back();
      if (entry.begin > entry.end || entry.end > parts.data.size()) {
        return Status(StatusCode::kCorrupt, "tensor " + name + " is not inside the file");
      }
    }
  } catch (const nlohmann::json::exception& error) {
    return Status(StatusCode::kCorrupt, std::string("its header: ") + error.what());
  }
  return parts;
}

}  // namespace trestle
