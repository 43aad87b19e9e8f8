// Source: one file that is to be imported, looked at: what it is and how its records become fields.
//
// Thread safety: pure, but for reading. Errors: kNotFound, kIoError; kInvalidData for a file that
// is empty or does not hold what the settings say.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/data.pb.h"
#include "worker/import/records.h"

namespace trestle {

enum class SourceKind { kDelimited, kJsonLines, kBlocks };

struct Source {
  std::string path;
  SourceKind kind = SourceKind::kDelimited;
  bool packed = false;  // gzip, zstd
  int64_t bytes = 0;    // on disk
  int64_t modified_ns = 0;
  char delimiter = ',';
  char quote = '"';                     // 0: none
  bool header = false;                  // the first record holds the names
  std::vector<std::string> columns;     // names of the fields; of JSON lines those of the first
  int64_t rows = 0, largest_block = 0;  // of files of blocks
  // What ends records: quotes matter where fields may hold line feeds.
  char record_quote(const TextFiles& text) const {
    return kind == SourceKind::kDelimited && text.newlines_in_values() ? quote : 0;
  }
};

// Size and time of a file alone.
Status StatSource(Source* source);

// Reads the beginning of the file.
Result<Source> OpenSource(const std::string& path, const TextFiles& text);

// Whether it is read in place: blocks of at most kMaxBlockRows rows (worker/input.h).
bool IsInBlocks(const Source& source);

// The records of a source, with a header if it has one; of files of blocks the columns named, as
// JSON lines.
Result<std::unique_ptr<RecordStream>> OpenRecords(const Source& source, const TextFiles& text,
                                                  const std::vector<std::string>& columns);

// kInvalidConfig if a setting is not a byte or contradicts another.
Status CheckText(const TextFiles& text);

}  // namespace trestle
