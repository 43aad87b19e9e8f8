#include "worker/import/source_chunks.h"

#include <utility>

namespace trestle {

Result<std::optional<SourceChunks::Chunk>> SourceChunks::Next() {
  const std::lock_guard lock(mutex_);
  TRESTLE_RETURN_IF_ERROR(failed_);
  auto chunk = NextLocked();
  failed_ = chunk.status();
  return chunk;
}

int64_t SourceChunks::bytes_done() {
  const std::lock_guard lock(mutex_);
  return bytes_before_ + (reader_ ? reader_->file_bytes() : 0);
}

Status SourceChunks::OpenNext() {
  const Source& source = sources_[source_];
  TRESTLE_ASSIGN_OR_RETURN(reader_, OpenRecords(source, text_, columns_));
  at_header_ = source.header;
  return {};
}

Result<std::optional<SourceChunks::Chunk>> SourceChunks::NextLocked() {
  while (source_ < sources_.size()) {
    if (!reader_) TRESTLE_RETURN_IF_ERROR(OpenNext());
    Chunk chunk;
    TRESTLE_ASSIGN_OR_RETURN(chunk.records, reader_->Next(chunk_bytes_));
    if (chunk.records.bytes.empty()) {
      bytes_before_ += reader_->file_bytes();
      TRESTLE_ASSIGN_OR_RETURN(hashes_[source_], reader_->Xxh3_128());
      ++source_;
      reader_.reset();
      continue;
    }
    if (std::exchange(at_header_, false)) {
      std::string_view header;
      int64_t line = 0;
      RecordCursor cursor(chunk.records.bytes, chunk.records.first_line,
                          sources_[source_].record_quote(text_));
      cursor.Next(&header, &line);
      chunk.records.first_line = cursor.line();
      chunk.records.bytes.erase(0, chunk.records.bytes.size() - cursor.rest().size());
    }
    chunk.number = number_++;
    chunk.source = source_;
    return std::optional(std::move(chunk));
  }
  return std::optional<Chunk>();
}

}  // namespace trestle
