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

// Of memory and disks: "1.5 GiB", "64.0 MiB".
inline std::string BinarySizeText(uint64_t bytes) {
  constexpr double kMiB = 1 << 20;
  const double mib = static_cast<double>(bytes) / kMiB;
  return mib >= 1024 ? Format("%.1f GiB", mib / 1024) : Format("%.1f MiB", mib);
}

}  // namespace trestle
