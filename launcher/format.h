// printf into a std::string, for lines of progress and errors.
#pragma once

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

}  // namespace trestle
