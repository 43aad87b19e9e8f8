#include "worker/import/records.h"

#include <algorithm>

namespace trestle {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Where the last record that ends in `bytes` does, behind its line feed; 0 if none does. Bytes
// start outside quotes.
size_t EndOfLastRecord(std::string_view bytes, char quote) {
  size_t end = bytes.rfind('\n');
  if (quote == 0) return end == std::string_view::npos ? 0 : end + 1;
  // Quotes up to the last line feed decide whether it is inside; then go back from there.
  if (end == std::string_view::npos) return 0;
  bool inside =
      std::count(bytes.begin(), bytes.begin() + static_cast<int64_t>(end), quote) % 2 != 0;
  while (inside) {
    if (end == 0) return 0;
    const size_t before = bytes.rfind('\n', end - 1);
    if (before == std::string_view::npos) return 0;
    inside ^= std::count(bytes.begin() + static_cast<int64_t>(before),
                         bytes.begin() + static_cast<int64_t>(end), quote) %
                  2 !=
              0;
    end = before;
  }
  return end + 1;
}

// Faster than counting byte by byte where lines are longer than a few bytes.
int64_t CountLines(std::string_view bytes) {
  int64_t lines = 0;
  for (size_t at = 0; (at = bytes.find('\n', at)) != std::string_view::npos; ++at) ++lines;
  return lines;
}

}  // namespace

Result<RecordChunk> RecordReader::Next(int64_t bytes) {
  RecordChunk chunk;
  chunk.first_line = line_;
  chunk.bytes = std::move(rest_);
  rest_.clear();
  size_t end = 0;
  while (end == 0) {
    const size_t before = chunk.bytes.size();
    if (static_cast<int64_t>(before) > kMaxRecordBytes) {
      return Status(StatusCode::kInvalidData,
                    path_ + ", line " + std::to_string(line_) + ": does not end within " +
                        std::to_string(kMaxRecordBytes) +
                        " bytes: not a text file, or a quote that is not closed");
    }
    TRESTLE_RETURN_IF_ERROR(stream_->Read(bytes, &chunk.bytes));
    const bool at_end = chunk.bytes.size() == before;
    if (!started_ && chunk.bytes.starts_with(kByteOrderMark)) {
      chunk.bytes.erase(0, kByteOrderMark.size());
    }
    started_ = true;
    end = at_end ? chunk.bytes.size() : EndOfLastRecord(chunk.bytes, quote_);
    if (at_end) break;
  }
  rest_.assign(chunk.bytes, end);
  chunk.bytes.resize(end);
  line_ += CountLines(chunk.bytes);
  return chunk;
}

size_t RecordCursor::EndOfRecord() const {
  size_t end = rest_.find('\n');
  if (quote_ == 0) return end;
  bool inside = false;
  for (size_t begin = 0; end != std::string_view::npos; end = rest_.find('\n', begin)) {
    inside ^= std::count(rest_.begin() + static_cast<int64_t>(begin),
                         rest_.begin() + static_cast<int64_t>(end), quote_) %
                  2 !=
              0;
    if (!inside) return end;
    begin = end + 1;
  }
  return end;
}

bool RecordCursor::Next(std::string_view* record, int64_t* line) {
  while (!rest_.empty()) {
    const size_t end = std::min(EndOfRecord(), rest_.size());
    *record = rest_.substr(0, end);
    *line = line_;
    line_ += 1;
    if (quote_ != 0) line_ += CountLines(*record);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (record->ends_with('\r')) record->remove_suffix(1);
    if (!record->empty()) return true;
  }
  return false;
}

}  // namespace trestle
