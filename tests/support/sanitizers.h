// Whether this is a sanitizer's build, in which code takes five to ten times as long: tests that try
// every place of many try fewer there.
#pragma once

namespace trestle {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace trestle
