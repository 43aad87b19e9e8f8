#include "worker/import/import_part.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>
#include <mutex>

#include "base/atomic_file.h"
#include "worker/import/file_syncer.h"
#include "worker/import/scatter.h"
#include "worker/import/source_chunks.h"
#include "worker/import/unit.h"

namespace trestle {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kChunkBytes = 4 * kMiB;  // that a thread scatters at a time
constexpr int64_t kLeastUnit = 16 * kMiB;  // of text, in a file of blocks
constexpr int64_t kMostUnit = 64 * kMiB;
constexpr int64_t kUnits = 4096;            // as many at most, where units are not too large
constexpr int64_t kPackedFactor = 4;        // text is about this much larger than its archive
constexpr int64_t kMemoryFactor = 5;        // a unit's memory: text, columns, file
constexpr int64_t kMostBucket = INT32_MAX;  // offsets of columns have 32 bits
constexpr int64_t kMostBuffer = 64 << 10;   // of a bucket

std::vector<std::string> NamesOf(const ImportColumns& columns) {
  std::vector<std::string> names;
  for (const ImportColumn& column : columns) names.push_back(column.name());
  return names;
}

// Of a file of blocks, as its first rows tell; without slices, so that they change no sizes.
Result<double> TextOfARow(const PartRequest& request, const Source& source) {
  ImportColumns columns;
  for (const ImportColumn& column : *request.columns) {
    if (!column.slice()) *columns.Add() = column;
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto records,
                           OpenRecords(source, request.settings->text(), NamesOf(columns)));
  TRESTLE_ASSIGN_OR_RETURN(const RecordChunk chunk, records->Next(kMiB));
  const auto rows = std::count(chunk.bytes.begin(), chunk.bytes.end(), '\n');
  return static_cast<double>(chunk.bytes.size()) / static_cast<double>(std::max<int64_t>(rows, 1));
}

Result<int64_t> TextBytes(const PartRequest& request) {
  int64_t bytes = 0;
  double of_row = 0;  // of files of blocks; the first that has rows speaks for all
  for (const Source& source : request.sources) {
    if (source.kind != SourceKind::kBlocks) {
      bytes += source.bytes * (source.packed ? kPackedFactor : 1);
    } else if (source.rows > 0) {
      if (of_row == 0) {
        TRESTLE_ASSIGN_OR_RETURN(of_row, TextOfARow(request, source));
      }
      bytes += static_cast<int64_t>(of_row * static_cast<double>(source.rows));
    }
  }
  return bytes;
}

// Columns could not hold it.
Status CheckUnit(int64_t text_bytes) {
  if (text_bytes <= kMostBucket) return {};
  return {StatusCode::kUnsupported,
          "a unit of the import holds " + std::to_string(text_bytes) + " bytes of text, at most " +
              std::to_string(kMostBucket) +
              " are possible: archives that hold far more text than archives of their size do must "
              "be unpacked before the import"};
}

// Enough stretches that the held out share can be told from the rest.
int64_t UnitBytes(int64_t text_bytes, Order order, double holdout) {
  int64_t bytes = std::clamp(text_bytes / kUnits, kLeastUnit, kMostUnit);
  if (order == TIME && holdout > 0) {
    const auto quarter = static_cast<int64_t>(static_cast<double>(text_bytes) * holdout / 4);
    bytes = std::min(bytes, std::max<int64_t>(quarter, 4096));
  }
  return bytes;
}

BucketRanges RangesOf(int64_t text_bytes, int64_t unit_bytes, double holdout) {
  const auto units = [&](double share) {
    return static_cast<size_t>(std::ceil(static_cast<double>(std::max<int64_t>(text_bytes, 1)) *
                                         share / static_cast<double>(unit_bytes)));
  };
  return {units(1 - holdout), holdout > 0 ? units(holdout) : 0, holdout};
}

// Runs `step` on `threads` threads until it says that there is no more, or fails.
Status RunUntilDone(ThreadPool& pool, int threads, const std::function<Result<bool>()>& step) {
  std::mutex mutex;
  Status failed;
  std::atomic<bool> stop = false;
  pool.ParallelFor(std::min(threads, pool.size()), [&](int64_t, int) {
    while (!stop) {
      const Result<bool> more = step();
      if (more.ok() && *more) continue;
      stop = stop || !more.ok();
      const std::lock_guard lock(mutex);
      if (failed.ok()) failed = more.status();
      return;
    }
  });
  return failed;
}

class PartImporter {
 public:
  PartImporter(FileSystem& fs, const PartRequest& request, int64_t text_bytes, ThreadPool& pool)
      : fs_(fs),
        request_(request),
        pool_(pool),
        syncer_(fs),
        text_bytes_(text_bytes),
        unit_bytes_(UnitBytes(text_bytes_, request.settings->order(), request.holdout)),
        accepted_(request.sources.size()),
        rejected_(request.sources.size()) {
    for (const Source& source : request.sources) total_bytes_ += source.bytes;
  }

  Result<CachePart> Run() {
    TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(request_.folder));
    const bool shuffle = request_.settings->order() == SHUFFLE;
    TRESTLE_RETURN_IF_ERROR(shuffle ? Shuffle() : KeepOrder());
    TRESTLE_RETURN_IF_ERROR(syncer_.Finish());
    TRESTLE_RETURN_IF_ERROR(CheckUnchanged());
    TRESTLE_ASSIGN_OR_RETURN(CachePart part, MakePart());
    TRESTLE_RETURN_IF_ERROR(WriteRejects());
    TRESTLE_RETURN_IF_ERROR(fs_.SyncDirectory(request_.folder));
    return part;
  }

 private:
  const TextFiles& text() const { return request_.settings->text(); }
  Unit MakeUnit() const {
    return {request_.sources, text(), *request_.columns, request_.settings->keep_refused()};
  }
  char QuoteOf(size_t source) const { return request_.sources[source].record_quote(text()); }

  std::string PathOf(int64_t unit) const {
    char name[32];
    std::snprintf(name, sizeof(name), "/%06ld.arrow", static_cast<long>(unit));
    return request_.folder + name;
  }

  int ThreadsFor(int64_t unit_bytes) const {
    const int64_t fit = request_.memory_bytes / (kMemoryFactor * std::max<int64_t>(unit_bytes, 1));
    return static_cast<int>(std::clamp<int64_t>(fit, 1, pool_.size()));
  }

  Status Shuffle() {
    const BucketRanges ranges = RangesOf(text_bytes_, unit_bytes_, request_.holdout);
    const int64_t buffer = std::clamp<int64_t>(
        request_.memory_bytes / 8 / static_cast<int64_t>(ranges.size()), 4096, kMostBuffer);
    Scatter scatter(fs_, request_.folder, ranges, buffer);
    TRESTLE_RETURN_IF_ERROR(ScatterAll(&scatter));
    int64_t largest = 0;
    for (size_t b = 0; b < ranges.size(); ++b) largest = std::max(largest, scatter.bytes(b));
    TRESTLE_RETURN_IF_ERROR(CheckUnit(largest));
    std::atomic<size_t> next = 0;
    return RunUntilDone(pool_, ThreadsFor(largest), [&]() -> Result<bool> {
      const size_t bucket = next++;
      if (bucket >= ranges.size()) return false;
      TRESTLE_RETURN_IF_ERROR(ImportBucket(&scatter, bucket, bucket >= ranges.train()));
      Report(0.3 + 0.7 * static_cast<double>(bucket + 1) / static_cast<double>(ranges.size()),
             total_bytes_);
      return true;
    });
  }

  Status ScatterAll(Scatter* scatter) {
    SourceChunks chunks(request_.sources, text(), NamesOf(*request_.columns), kChunkBytes);
    const int threads = ThreadsFor(2 * kChunkBytes);
    const Status scattered = RunUntilDone(pool_, threads, [&]() -> Result<bool> {
      TRESTLE_ASSIGN_OR_RETURN(const auto chunk, chunks.Next());
      if (!chunk) return false;
      TRESTLE_RETURN_IF_ERROR(scatter->Add(*chunk, QuoteOf(chunk->source)));
      const int64_t done = chunks.bytes_done();
      Report(0.3 * static_cast<double>(done) / static_cast<double>(total_bytes_), done);
      return true;
    });
    TRESTLE_RETURN_IF_ERROR(scattered);
    hashes_ = chunks.hashes();
    return scatter->Flush();
  }

  Status ImportBucket(Scatter* scatter, size_t bucket, bool holdout) {
    TRESTLE_ASSIGN_OR_RETURN(const std::string bytes, scatter->Read(bucket));
    Unit unit = MakeUnit();
    for (const ScatteredRecord& one : Scatter::Sorted(bytes)) {
      unit.Add(one.source, one.line, one.record);
    }
    TRESTLE_RETURN_IF_ERROR(scatter->Remove(bucket));
    return FinishUnit(&unit, static_cast<int64_t>(bucket), holdout);
  }

  Status KeepOrder() {
    SourceChunks chunks(request_.sources, text(), NamesOf(*request_.columns), unit_bytes_);
    const Status imported = RunUntilDone(pool_, ThreadsFor(unit_bytes_), [&]() -> Result<bool> {
      TRESTLE_ASSIGN_OR_RETURN(const auto chunk, chunks.Next());
      if (!chunk) return false;
      TRESTLE_RETURN_IF_ERROR(ImportChunk(*chunk));
      const int64_t done = chunks.bytes_done();
      Report(static_cast<double>(done) / static_cast<double>(total_bytes_), done);
      return true;
    });
    TRESTLE_RETURN_IF_ERROR(imported);
    hashes_ = chunks.hashes();
    return {};
  }

  Status ImportChunk(const SourceChunks::Chunk& chunk) {
    TRESTLE_RETURN_IF_ERROR(CheckUnit(static_cast<int64_t>(chunk.records.bytes.size())));
    Unit unit = MakeUnit();
    std::string_view record;
    int64_t line = 0;
    RecordCursor cursor(chunk.records.bytes, chunk.records.first_line, QuoteOf(chunk.source));
    while (cursor.Next(&record, &line)) unit.Add(chunk.source, line, record);
    return FinishUnit(&unit, chunk.number, false);
  }

  Status FinishUnit(Unit* unit, int64_t number, bool holdout) {
    TRESTLE_ASSIGN_OR_RETURN(UnitResult result, unit->Finish(fs_, PathOf(number)));
    result.file.set_holdout(holdout);
    if (result.file.rows() > 0) syncer_.Add(PathOf(number));
    const std::lock_guard lock(mutex_);
    rows_ += result.file.rows();
    for (size_t s = 0; s < accepted_.size(); ++s) {
      accepted_[s] += result.accepted[s];
      rejected_[s] += result.rejected[s];
    }
    result.accepted = result.rejected = {};
    rejects_.insert(rejects_.end(), std::make_move_iterator(result.rejects.begin()),
                    std::make_move_iterator(result.rejects.end()));
    result.rejects = {};
    if (rejects_.size() >= 2 * kMostRejects) KeepFirst(&rejects_, kMostRejects);
    units_.emplace(number, std::move(result));
    return {};
  }

  void Report(double share, int64_t bytes) {
    const std::lock_guard lock(mutex_);
    share_ = std::max(share_, share);
    if (request_.progress) request_.progress({share_, bytes, rows_});
  }

  // What was read belongs to no one file if it was written to meanwhile.
  Status CheckUnchanged() const {
    for (const Source& source : request_.sources) {
      Source now = source;
      TRESTLE_RETURN_IF_ERROR(StatSource(&now));
      if (now.bytes == source.bytes && now.modified_ns == source.modified_ns) continue;
      return {StatusCode::kInvalidData,
              source.path + ": changed while it was imported; import it when it is complete"};
    }
    return {};
  }

  Result<CachePart> MakePart() {
    CachePart part;
    for (size_t s = 0; s < request_.sources.size(); ++s) {
      const Source& source = request_.sources[s];
      CacheSource* const entry = part.add_sources();
      entry->set_path(source.path);
      entry->set_bytes(source.bytes);
      entry->set_modified_ns(source.modified_ns);
      entry->set_xxh3_128(hashes_[s]);
      entry->set_rows(accepted_[s]);
      entry->set_rejected(rejected_[s]);
    }
    if (request_.settings->order() == TIME) HoldOutLast();
    for (const auto& [number, unit] : units_) {
      if (unit.file.rows() > 0) *part.add_files() = unit.file;
    }
    AddNumeric(&part);
    KeepFirst(&rejects_, kMostRejects);
    if (!rejects_.empty()) part.set_first_reject(Sentence(rejects_.front()));
    return part;
  }

  // In time order the last files are kept to test with, until they have the share; the first is
  // trained on in any case.
  void HoldOutLast() {
    const auto wanted = static_cast<double>(rows_) * request_.holdout;
    double held = 0;
    if (units_.empty()) return;
    const auto first = std::prev(units_.rend());
    for (auto unit = units_.rbegin(); unit != first && held < wanted; ++unit) {
      unit->second.file.set_holdout(true);
      held += static_cast<double>(unit->second.file.rows());
    }
  }

  void AddNumeric(CachePart* part) const {
    for (int c = 0; c < request_.columns->size(); ++c) {
      if ((*request_.columns)[c].kind() != NUMBER) continue;
      NumericStatistics all;
      int64_t missing = 0;
      for (const auto& [number, unit] : units_) {
        all = MergeStatistics(all, unit.numeric[static_cast<size_t>(c)]);
        missing += unit.missing[static_cast<size_t>(c)];
      }
      CacheNumeric* const entry = part->add_numeric();
      entry->set_column((*request_.columns)[c].name());
      entry->set_count(all.count);
      entry->set_missing(missing);
      entry->set_mean(all.mean);
      entry->set_std(all.std);
      entry->set_min(all.min);
      entry->set_max(all.max);
    }
  }

  std::string Sentence(const Reject& reject) const {
    return request_.sources[reject.source].path + ", line " + std::to_string(reject.line) + ": " +
           reject.problem.reason;
  }

  Status WriteRejects() {
    if (rejects_.empty()) return {};
    std::string lines;
    for (const Reject& reject : rejects_) {
      lines += request_.sources[reject.source].path + "\t" + std::to_string(reject.line) + "\t" +
               reject.problem.column + "\t" + reject.problem.reason + "\n";
    }
    return WriteFileAtomically(fs_, request_.folder + "/rejected.tsv", lines);
  }

  FileSystem& fs_;
  const PartRequest& request_;
  ThreadPool& pool_;
  FileSyncer syncer_;
  const int64_t text_bytes_, unit_bytes_;
  int64_t total_bytes_ = 0;
  std::vector<std::string> hashes_;  // of the sources
  std::mutex mutex_;                 // for what follows, while units are imported
  std::map<int64_t, UnitResult> units_;
  std::vector<int64_t> accepted_, rejected_;  // rows of each source
  std::vector<Reject> rejects_;
  int64_t rows_ = 0;
  double share_ = 0;
};

}  // namespace

Result<CachePart> ImportPart(FileSystem& fs, const PartRequest& request, ThreadPool& pool) {
  TRESTLE_ASSIGN_OR_RETURN(const int64_t text_bytes, TextBytes(request));
  return PartImporter(fs, request, text_bytes, pool).Run();
}

}  // namespace trestle
