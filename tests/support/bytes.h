// The bytes of a text, as files take them. Thread safety: pure.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace trestle {

inline std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace trestle
