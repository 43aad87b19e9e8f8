// docs/config.md: every setting with its type, default, range and meaning, made from the comments
// of the .proto files, so that a setting is documented where it is defined and nowhere else. The
// build puts those files, comments included, into the program (config_descriptor.cmake).
//
// What the comments must say: what a field means, before or behind it; its default last, as
// "default X" after a comma, semicolon, full stop or at the start.
//
// Thread safety: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace trestle {

// The page. CHECKs that the descriptors that were built in are whole.
[[nodiscard]] std::string ConfigDocs();

// The example at its head, a valid config.
[[nodiscard]] std::string_view ExampleConfig();

// A comment split into what a field means and its default; the default is empty if it names none.
struct FieldComment {
  std::string meaning;
  std::string fallback;
};
[[nodiscard]] FieldComment SplitComment(std::string_view comment);

// A serialized FileDescriptorSet with source information. Defined by a generated source.
[[nodiscard]] std::span<const unsigned char> ConfigDescriptorSet();

}  // namespace trestle
