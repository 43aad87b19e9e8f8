#include "worker/import/scatter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <span>
#include <tuple>

#include "base/hash.h"

namespace trestle {
namespace {

// What stands before a record in a bucket's file.
struct Prefix {
  int64_t line;
  uint32_t source;
  uint32_t bytes;
};
static_assert(sizeof(Prefix) == 16);

size_t Scale(uint64_t offset, uint64_t span, size_t count) {
  return static_cast<size_t>(static_cast<unsigned __int128>(offset) * count / span);
}

}  // namespace

uint64_t ShufflePlace(uint32_t source, int64_t line) {
  return Mix64(Mix64(uint64_t{source} + 1) + static_cast<uint64_t>(line));
}

BucketRanges::BucketRanges(size_t train, size_t test, double holdout)
    : train_(train), test_(test), cut_(UINT64_MAX) {
  if (test > 0) cut_ -= static_cast<uint64_t>(std::ldexp(holdout, 64));
}

size_t BucketRanges::Of(uint64_t place) const {
  if (place < cut_) return Scale(place, cut_, train_);
  if (cut_ == UINT64_MAX) return train_ - 1;  // the very last place
  return train_ + std::min(Scale(place - cut_, UINT64_MAX - cut_, test_), test_ - 1);
}

Scatter::Scatter(FileSystem& fs, std::string folder, const BucketRanges& ranges,
                 int64_t buffer_bytes)
    : fs_(fs),
      folder_(std::move(folder)),
      ranges_(ranges),
      buffer_bytes_(static_cast<size_t>(buffer_bytes)),
      buckets_(ranges.size()) {}

std::string Scatter::Path(size_t bucket) const {
  char name[32];
  std::snprintf(name, sizeof(name), "/bucket-%06zu.tmp", bucket);
  return folder_ + name;
}

Status Scatter::Add(const SourceChunks::Chunk& chunk, char quote) {
  struct Found {
    std::string_view record;
    int64_t line;
    size_t bucket;
  };
  std::vector<Found> found;
  std::vector<size_t> ends(ranges_.size() + 1);  // of each bucket's bytes, behind a zero
  const auto source = static_cast<uint32_t>(chunk.source);
  Found next{};
  RecordCursor cursor(chunk.records.bytes, chunk.records.first_line, quote);
  while (cursor.Next(&next.record, &next.line)) {
    next.bucket = ranges_.Of(ShufflePlace(source, next.line));
    ends[next.bucket + 1] += sizeof(Prefix) + next.record.size();
    found.push_back(next);
  }
  for (size_t b = 1; b < ends.size(); ++b) ends[b] += ends[b - 1];

  std::vector<size_t> at(ends.begin(), ends.end() - 1);
  std::string grouped(ends.back(), '\0');
  for (const Found& one : found) {
    const Prefix prefix = {one.line, source, static_cast<uint32_t>(one.record.size())};
    char* const to = grouped.data() + at[one.bucket];
    std::memcpy(to, &prefix, sizeof(prefix));
    std::memcpy(to + sizeof(prefix), one.record.data(), one.record.size());
    at[one.bucket] += sizeof(prefix) + one.record.size();
  }
  for (size_t b = 0; b < ranges_.size(); ++b) {
    const std::string_view bytes = std::string_view(grouped).substr(ends[b], ends[b + 1] - ends[b]);
    if (!bytes.empty()) TRESTLE_RETURN_IF_ERROR(Append(b, bytes));
  }
  return {};
}

Status Scatter::Append(size_t bucket, std::string_view bytes) {
  Bucket& to = buckets_[bucket];
  const std::lock_guard lock(to.mutex);
  to.bytes += static_cast<int64_t>(bytes.size());
  if (to.waiting.size() + bytes.size() >= buffer_bytes_) return Write(bucket, bytes);
  to.waiting += bytes;
  return {};
}

// Files are opened for each write: there may be more than a process can hold open.
Status Scatter::Write(size_t bucket, std::string_view more) {
  std::string& waiting = buckets_[bucket].waiting;
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs_.OpenAppend(Path(bucket)));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(waiting))));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(more))));
  TRESTLE_RETURN_IF_ERROR(file->Close());
  waiting.clear();
  return {};
}

Status Scatter::Flush() {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    if (!buckets_[b].waiting.empty()) TRESTLE_RETURN_IF_ERROR(Write(b, {}));
    buckets_[b].waiting = std::string();
  }
  return {};
}

Result<std::string> Scatter::Read(size_t bucket) const {
  const int64_t bytes = buckets_[bucket].bytes;
  if (bytes == 0) return std::string();
  TRESTLE_ASSIGN_OR_RETURN(std::string text, fs_.ReadRange(Path(bucket), 0, bytes));
  if (static_cast<int64_t>(text.size()) == bytes) return text;
  return Status(StatusCode::kCorrupt, Path(bucket) + ": cut while it was in use");
}

std::vector<ScatteredRecord> Scatter::Sorted(std::string_view bytes) {
  std::vector<ScatteredRecord> records;
  while (!bytes.empty()) {
    Prefix prefix;
    std::memcpy(&prefix, bytes.data(), sizeof(prefix));
    records.push_back({ShufflePlace(prefix.source, prefix.line), prefix.line, prefix.source,
                       bytes.substr(sizeof(prefix), prefix.bytes)});
    bytes.remove_prefix(sizeof(prefix) + prefix.bytes);
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) {
    return std::tie(a.place, a.source, a.line) < std::tie(b.place, b.source, b.line);
  });
  return records;
}

Status Scatter::Remove(size_t bucket) {
  return buckets_[bucket].bytes == 0 ? Status() : fs_.Remove(Path(bucket));
}

}  // namespace trestle
