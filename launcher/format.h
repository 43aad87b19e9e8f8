// printf into a std::string, for lines of progress and errors.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace trestle {

// At most 511 characters.
template <class... Args>
std::string Format(const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof(text), format, args...);
  return text;
}

inline std::string Hex(uint64_t value) { return Format("%016lx", value); }

}  // namespace trestle
