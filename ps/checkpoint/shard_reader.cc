// Reads shard files: the frame first, then batch by batch, each verified before Arrow sees it.
#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <future>
#include <utility>

#include "base/partition.h"
#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/shard_file.h"
#include "ps/checkpoint/shard_layout.h"

namespace trestle {
namespace {

struct ShardFrame {
  std::shared_ptr<arrow::Schema> schema;
  std::vector<BatchEntry> batches;
};

// Explains what Arrow does not like about bytes that were verified: another version wrote them.
Status Explain(const std::string& path, const arrow::Status& status) {
  if (status.ok()) return {};
  const bool memory = status.IsOutOfMemory();
  return {memory ? StatusCode::kOutOfMemory : StatusCode::kCorrupt, path + ": " + status.message()};
}

// That the batches lie between head and tail without a gap, in order, and hold the entry's rows.
Status CheckIndex(const std::string& path, const FileEntry& entry,
                  const std::vector<BatchEntry>& batches) {
  int64_t at = entry.head_bytes(), rows = 0;
  uint32_t partition = entry.begin_partition();
  for (const BatchEntry& batch : batches) {
    const bool fits = batch.offset == at && batch.bytes > 0 && batch.rows > 0 &&
                      batch.first_partition >= partition &&
                      batch.last_partition >= batch.first_partition &&
                      batch.last_partition < entry.end_partition();
    if (!fits) return CorruptFile(path, "its index is wrong at byte " + std::to_string(at));
    at += batch.bytes;
    rows += batch.rows;
    partition = batch.last_partition;
  }
  if (at == entry.bytes() - entry.tail_bytes() && rows == entry.rows()) return {};
  return CorruptFile(path, "its index has " + std::to_string(rows) + " rows up to byte " +
                               std::to_string(at) + ", expected " + std::to_string(entry.rows()) +
                               " up to byte " + std::to_string(entry.bytes() - entry.tail_bytes()));
}

Result<ShardFrame> ReadFrame(FileSystem& fs, const std::string& path, const FileEntry& entry) {
  TRESTLE_RETURN_IF_ERROR(CheckFileSize(fs, path, entry.bytes()));
  const int64_t head = entry.head_bytes(), tail = entry.tail_bytes();
  if (head <= 0 || tail <= 0 || head > entry.bytes() || tail > entry.bytes() - head) {
    return CorruptFile(path, "the manifest's head_bytes and tail_bytes do not fit its size");
  }
  TRESTLE_ASSIGN_OR_RETURN(const std::string begin, ReadExactly(fs, path, 0, head));
  TRESTLE_ASSIGN_OR_RETURN(std::string end, ReadExactly(fs, path, entry.bytes() - tail, tail));
  Hasher128 hasher;
  hasher.Update(std::as_bytes(std::span(begin)));
  hasher.Update(std::as_bytes(std::span(end)));
  TRESTLE_RETURN_IF_ERROR(
      CheckHash(path, "the head's and footer's", entry.frame_xxh3_128(), hasher.Hex()));
  // Arrow reads a file from its end, and of the footer alone it needs nothing before.
  const auto buffer = arrow::Buffer::FromString(std::move(end));
  const auto reader =
      arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(buffer));
  TRESTLE_RETURN_IF_ERROR(Explain(path, reader.status()));
  const auto metadata = (*reader)->metadata();
  const auto index = metadata ? metadata->Get(kShardIndexKey)
                              : arrow::Result<std::string>(arrow::Status::KeyError("no metadata"));
  if (!index.ok()) return CorruptFile(path, "its footer has no trestle.index");
  TRESTLE_ASSIGN_OR_RETURN(auto batches, ParseIndex(path, *index));
  TRESTLE_RETURN_IF_ERROR(CheckIndex(path, entry, batches));
  return ShardFrame{(*reader)->schema(), std::move(batches)};
}

// Floats a row of a column of float or fixed_size_list<float>; 0 for other types.
int WidthOf(const arrow::DataType& type) {
  if (type.id() == arrow::Type::FLOAT) return 1;
  if (type.id() != arrow::Type::FIXED_SIZE_LIST) return 0;
  const auto& list = static_cast<const arrow::FixedSizeListType&>(type);
  return list.value_type()->id() == arrow::Type::FLOAT ? list.list_size() : 0;
}

Status CheckSchema(const std::string& path, const FileEntry& entry, int dim, int state_width,
                   const arrow::Schema& schema) {
  const int columns = schema.num_fields();
  const auto is = [&](int column, const char* name, arrow::Type::type type) {
    const auto& field = schema.field(column);
    return field->name() == name && field->type()->id() == type;
  };
  if (columns < kColumnsBeforeSlots + kColumnsAfterSlots || !is(0, "key", arrow::Type::UINT64) ||
      !is(1, "weights", arrow::Type::FIXED_SIZE_LIST) ||
      !is(columns - 3, "occurrences", arrow::Type::UINT64) ||
      !is(columns - 2, "samples", arrow::Type::UINT64) ||
      !is(columns - 1, "last_step", arrow::Type::INT64)) {
    return CorruptFile(path, "has other columns: " + schema.ToString());
  }
  const auto& metadata = schema.metadata();
  const auto table = metadata ? metadata->Get(kShardTableKey).ValueOr("") : "";
  if (table != entry.table()) {
    return CorruptFile(path, "of table " + table + ", expected " + entry.table());
  }
  int state = 0;
  for (int column = kColumnsBeforeSlots; column < columns - kColumnsAfterSlots; ++column) {
    const int width = WidthOf(*schema.field(column)->type());
    if (width == 0) return CorruptFile(path, "column " + schema.field(column)->name() + ": type");
    state += width;
  }
  const int weights = WidthOf(*schema.field(1)->type());
  if (weights == dim && state == state_width) return {};
  return {StatusCode::kInvalidConfig,
          path + ": table " + table + " has dim " + std::to_string(weights) + " and " +
              std::to_string(state) + " floats of optimizer state a row there, " +
              std::to_string(dim) + " and " + std::to_string(state_width) + " here"};
}

// A batch's rows as RowViews, out of Arrow's buffers.
class BatchRows {
 public:
  BatchRows(const arrow::RecordBatch& batch, int dim, int state_width)
      : rows_(batch.num_rows()), state_width_(static_cast<size_t>(state_width)) {
    const int columns = batch.num_columns();
    keys_ = Values<uint64_t>(batch, 0);
    weights_ = {Floats(batch, 1), static_cast<size_t>(dim)};
    for (int column = kColumnsBeforeSlots; column < columns - kColumnsAfterSlots; ++column) {
      const int width = WidthOf(*batch.column_data(column)->type);
      slots_.push_back({Floats(batch, column), static_cast<size_t>(width)});
    }
    occurrences_ = Values<uint64_t>(batch, columns - 3);
    samples_ = Values<uint64_t>(batch, columns - 2);
    last_steps_ = Values<int64_t>(batch, columns - 1);
    if (slots_.size() > 1) state_.resize(static_cast<size_t>(rows_) * state_width_);
    views_.reserve(static_cast<size_t>(rows_));
  }

  // Those of partitions [begin, end). The views are this object's.
  std::span<const RowView> Views(uint32_t begin, uint32_t end) {
    views_.clear();
    for (int64_t row = 0; row < rows_; ++row) {
      const Key key{keys_[row]};
      const uint32_t partition = PartitionOf(key);
      if (partition < begin || partition >= end) continue;
      views_.push_back({.key = key,
                        .weights = weights_.Row(row),
                        .state = State(row),
                        .occurrences = occurrences_[row],
                        .samples = samples_[row],
                        .last_step = last_steps_[row]});
    }
    return views_;
  }

 private:
  struct FloatRows {
    const float* values;
    size_t width;
    std::span<const float> Row(int64_t row) const {
      return {values + static_cast<size_t>(row) * width, width};
    }
  };

  template <class T>
  static const T* Values(const arrow::RecordBatch& batch, int column) {
    return batch.column_data(column)->GetValues<T>(1);
  }
  static const float* Floats(const arrow::RecordBatch& batch, int column) {
    const auto& data = batch.column_data(column);
    return (data->child_data.empty() ? data : data->child_data[0])->GetValues<float>(1);
  }
  // One slot is a span of its column; several are put together.
  std::span<const float> State(int64_t row) {
    if (slots_.size() == 1) return slots_[0].Row(row);
    float* const state = state_.data() + static_cast<size_t>(row) * state_width_;
    float* to = state;
    for (const FloatRows& slot : slots_) {
      const auto from = slot.Row(row);
      std::memcpy(to, from.data(), from.size_bytes());
      to += from.size();
    }
    return {state, state_width_};
  }

  const int64_t rows_;
  const uint64_t* keys_;
  const uint64_t* occurrences_;
  const uint64_t* samples_;
  const int64_t* last_steps_;
  FloatRows weights_;
  std::vector<FloatRows> slots_;
  const size_t state_width_;
  std::vector<float> state_;  // of all rows, if there are several slots
  std::vector<RowView> views_;
};

// The batch lies in `bytes`.
Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch(FileSystem& fs, const std::string& path,
                                                      const ShardFrame& frame,
                                                      const BatchEntry& entry,
                                                      std::span<std::byte> bytes) {
  TRESTLE_RETURN_IF_ERROR(ReadExactly(fs, path, entry.offset, bytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string which = "the batch's at byte " + std::to_string(entry.offset);
  TRESTLE_RETURN_IF_ERROR(CheckHash(path, which, entry.xxh3_128, Hash128(text)));
  arrow::io::BufferReader reader(arrow::Buffer::Wrap(bytes.data(), bytes.size()));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  auto batch = arrow::ipc::ReadRecordBatch(frame.schema, nullptr, options, &reader);
  TRESTLE_RETURN_IF_ERROR(Explain(path, batch.status()));
  if ((*batch)->num_rows() != entry.rows) {
    return CorruptFile(path, "the batch at byte " + std::to_string(entry.offset) + " has " +
                                 std::to_string((*batch)->num_rows()) + " rows, expected " +
                                 std::to_string(entry.rows));
  }
  return std::move(batch).ValueUnsafe();
}

}  // namespace

Status ReadShardFile(FileSystem& fs, const std::string& folder, const FileEntry& entry, int dim,
                     int state_width, uint32_t begin_partition, uint32_t end_partition,
                     const RowsVisitor& visit) {
  const std::string path = folder + "/" + entry.name();
  TRESTLE_ASSIGN_OR_RETURN(const ShardFrame frame, ReadFrame(fs, path, entry));
  TRESTLE_RETURN_IF_ERROR(CheckSchema(path, entry, dim, state_width, *frame.schema));
  std::vector<const BatchEntry*> wanted;
  for (const BatchEntry& batch : frame.batches) {
    if (batch.last_partition < begin_partition || batch.first_partition >= end_partition) continue;
    wanted.push_back(&batch);
  }
  // Two buffers for all batches: one is read while rows are taken out of the other.
  std::array<std::vector<std::byte>, 2> buffers;
  const auto read = [&](size_t i) {
    std::vector<std::byte>& buffer = buffers[i % 2];
    const auto bytes = static_cast<size_t>(wanted[i]->bytes);
    if (buffer.size() < bytes) buffer.resize(bytes);
    return ReadBatch(fs, path, frame, *wanted[i], std::span(buffer).first(bytes));
  };
  // A future waits for its thread where it is dropped, so what the thread uses outlives it.
  std::future<Result<std::shared_ptr<arrow::RecordBatch>>> next;
  for (size_t i = 0; i < wanted.size(); ++i) {
    TRESTLE_ASSIGN_OR_RETURN(const auto batch, i == 0 ? read(0) : next.get());
    if (i + 1 < wanted.size()) next = std::async(read, i + 1);
    BatchRows rows(*batch, dim, state_width);
    TRESTLE_RETURN_IF_ERROR(visit(rows.Views(begin_partition, end_partition)));
  }
  return {};
}

}  // namespace trestle
