// Records: what a text file is made of, one row each. A record is a line; where quoted fields may
// go over several lines, one that ends outside quotes. Files are cut into chunks of whole records,
// which threads then work on by themselves.
//
// Thread safety: RecordReader: one thread. Errors: those of ByteStream; kInvalidData for a record
// of more than kMaxRecordBytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "worker/import/byte_stream.h"

namespace trestle {

inline constexpr int64_t kMaxRecordBytes = 64 << 20;

// Whole records and the number, from 1, of the first one's line in the file.
struct RecordChunk {
  std::string bytes;
  int64_t first_line = 1;
};

class RecordStream {
 public:
  virtual ~RecordStream() = default;
  // The next records, of about `bytes` bytes and at least one. Empty at the end.
  virtual Result<RecordChunk> Next(int64_t bytes) = 0;
  virtual int64_t file_bytes() const = 0;            // of the file, read so far
  virtual Result<std::string> Xxh3_128() const = 0;  // of the whole file, at the end
};

// Of a text file, without its byte order mark.
class RecordReader final : public RecordStream {
 public:
  // `quote` is 0 where line feeds always end a record.
  RecordReader(std::string path, std::unique_ptr<ByteStream> stream, char quote)
      : path_(std::move(path)), stream_(std::move(stream)), quote_(quote) {}

  Result<RecordChunk> Next(int64_t bytes) override;
  int64_t file_bytes() const override { return stream_->file_bytes(); }
  Result<std::string> Xxh3_128() const override { return stream_->Xxh3_128(); }

 private:
  std::string path_;
  std::unique_ptr<ByteStream> stream_;
  char quote_;
  std::string rest_;  // of the chunk before: the start of a record
  int64_t line_ = 1;
  bool started_ = false;
};

// Takes records from the front of a chunk, one after the other.
class RecordCursor {
 public:
  RecordCursor(std::string_view bytes, int64_t first_line, char quote)
      : rest_(bytes), line_(first_line), quote_(quote) {}

  // False at the end. `record` is without its line end; blank lines are passed over.
  bool Next(std::string_view* record, int64_t* line);
  // What was not taken yet, and the number of its first line.
  std::string_view rest() const { return rest_; }
  int64_t line() const { return line_; }

 private:
  size_t EndOfRecord() const;

  std::string_view rest_;
  int64_t line_;
  char quote_;
};

}  // namespace trestle
