// What ranks say to one another in a step, byte by byte. Numbers are in the machine's own order:
// all ranks run one program on one kind of processor (they compare versions at the start). Where a
// size is not fixed, an earlier message of the step announced it.
//
// Stream kKeys, phase "keys" (keys thread):
//   1. every rank -> every rank
//        StepRecord, then uint64 keys[tables]: how many keys of each table follow for the receiver
//   2. worker -> server, in the order of tables
//        Key keys[n], then in training KeyCounts counts[n]; n as announced in 1
//
// Stream kRows, phase "pull" (main thread):
//   3. every rank -> every rank: Verdict; and from a server to a worker, after it, RowLayout:
//        float rows[n, dim] of each table, in the order of the keys in 2, padded to 64 bytes a
//        table
//
//        and in evaluation: of each table a bit a key, 1 where it has no row, padded to 8 bytes
//
// Stream kRows, phase "push" (main thread):
//   4. every rank -> every rank: Verdict, with the size of 5 for the receiver
//   5. worker -> server, only if no verdict of 4 says failed or bad: of each table with n > 0 keys
//        a bit a key, 1 where the row is narrow, padded to 8 bytes
//        int64 row[dim] of each wide row, in the order of keys: units of FixedUnit
//        float row[dim] of each narrow row, in the order of keys, padded to 8 bytes
//   6. every rank -> every rank: Verdict: whether the optimizer step succeeded
//
// A Verdict or StepRecord with kFailed is followed by AgreeOnStatus on the same stream, by all
// ranks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace trestle {

inline constexpr uint32_t kWireMagic = 0x54525333;  // "TRS3": raise with any change of format

enum WireFlags : uint32_t {
  kFailed = 1,         // this rank has a failure: agree on it
  kBad = 2,            // a gradient is not finite or out of range: nobody applies the step
  kWorker = 4,         // StepRecord: the sender works, so action, step and rows count
  kStopRequested = 8,  // StepRecord: Ctrl-C, on any rank
  kOutOfTime = 16,     // StepRecord: StepHeader::out_of_time
};

struct StepRecord {
  uint32_t magic = kWireMagic;
  uint32_t flags = 0;
  int32_t action = 0;
  uint32_t checkpoints_wanted = 0;
  uint32_t checkpoints_written = 0;
  float lr_factor = 1;
  int64_t step = 0;
  int64_t rows = 0;
  int64_t rejected = 0;
};
static_assert(sizeof(StepRecord) == 48 && std::is_trivially_copyable_v<StepRecord>);

struct Verdict {
  uint32_t magic = kWireMagic;
  uint32_t flags = 0;
  uint64_t payload_bytes = 0;
  uint64_t unused[6] = {};  // a cache line, so that the rows behind it are aligned
};
static_assert(sizeof(Verdict) == 64 && std::is_trivially_copyable_v<Verdict>);

constexpr size_t PadTo(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }
constexpr size_t BitmapBytes(size_t bits) { return PadTo((bits + 7) / 8, 8); }

// Where the rows of each table are in message 3, Verdict included.
class RowLayout {
 public:
  // counts[t]: keys that the worker asked of this server.
  void Reset(std::span<const int> dims, std::span<const uint32_t> counts, bool absent_bits) {
    rows_.resize(dims.size());
    absent_.resize(dims.size());
    bytes_ = sizeof(Verdict);
    for (size_t t = 0; t < dims.size(); ++t) {
      rows_[t] = bytes_;
      bytes_ += PadTo(size_t{counts[t]} * static_cast<size_t>(dims[t]) * sizeof(float), 64);
    }
    for (size_t t = 0; t < dims.size(); ++t) {
      absent_[t] = bytes_;
      if (absent_bits) bytes_ += BitmapBytes(counts[t]);
    }
  }
  size_t rows(size_t table) const { return rows_[table]; }      // byte offset
  size_t absent(size_t table) const { return absent_[table]; }  // byte offset
  size_t bytes() const { return bytes_; }

 private:
  std::vector<size_t> rows_, absent_;
  size_t bytes_ = 0;
};

}  // namespace trestle
