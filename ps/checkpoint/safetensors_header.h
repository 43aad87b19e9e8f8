// The header of a file in the format of the Python package `safetensors`: its size as uint64, then
// JSON, padded with spaces so that the data begins at a multiple of 8. The data follows, tensor
// after tensor.
//
// Thread safety: one thread. Errors: kCorrupt for what is no such file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace trestle {

// What the header says of a tensor.
struct SafetensorsEntry {
  std::string name;
  std::string type;  // "F32", "U64"
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // of its bytes in the data
};

// For writing.
class SafetensorsHeader {
 public:
  // Names and values for whoever reads the file.
  using Facts = std::vector<std::pair<std::string, std::string>>;
  explicit SafetensorsHeader(Facts facts) : facts_(std::move(facts)) {}

  // The next tensor of the data. False: its name is taken.
  [[nodiscard]] bool Add(const std::string& name, const std::string& type,
                         const std::vector<int64_t>& shape, size_t bytes);
  // What the file begins with.
  std::string Text() const;

 private:
  const Facts facts_;
  std::vector<SafetensorsEntry> tensors_;
};

// The parts of a whole file.
struct SafetensorsParts {
  std::vector<SafetensorsEntry> tensors;  // all inside the data
  std::string_view data;
};
Result<SafetensorsParts> ParseSafetensors(std::string_view text);

}  // namespace trestle
