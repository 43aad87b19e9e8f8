// Source: one file that is to be imported, looked at: what it is and how its records become fields.
//
// Thread safety: pure, but for reading. Errors: kNotFound, kIoError; kInvalidData for a file that
// is empty or does not hold what the settings say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/data.pb.h"

namespace trestle {

enum class SourceKind { kDelimited, kJsonLines, kBlocks };

struct Source {
  std::string path;
  SourceKind kind = SourceKind::kDelimited;
  bool packed = false;  // gzip, zstd
  int64_t bytes = 0;    // on disk
  int64_t modified_ns = 0;
  char delimiter = ',';
  char quote = '"';                  // 0: none
  bool header = false;               // the first record holds the names
  std::vector<std::string> columns;  // names of the fields; of JSON lines those of the first
  // What ends records: quotes matter where fields may hold line feeds.
  char record_quote(const Text& text) const {
    return kind == SourceKind::kDelimited && text.newlines_in_values() ? quote : 0;
  }
};

// Size and time of a file alone.
Status StatSource(Source* source);

// Reads the beginning of the file.
Result<Source> OpenSource(const std::string& path, const Text& text);

// kInvalidConfig if a setting is not a byte or contradicts another.
Status CheckText(const Text& text);

}  // namespace trestle
