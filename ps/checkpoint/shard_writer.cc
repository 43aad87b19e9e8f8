// Writes shard files.
#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/writer.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "base/partition.h"
#include "ps/checkpoint/hashed_file.h"
#include "ps/checkpoint/shard_file.h"
#include "ps/checkpoint/shard_layout.h"

namespace trestle {
namespace {

using Metadata = arrow::KeyValueMetadata;

// What Arrow writes to. Tells a batch's bytes from the frame around them: the head, whose size is
// known before, and the tail.
class ShardStream final : public arrow::io::OutputStream {
 public:
  ShardStream(std::unique_ptr<HashedFile> file, int64_t head_bytes)
      : file_(std::move(file)), head_bytes_(head_bytes) {}

  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t size) override {
    const std::span bytes(static_cast<const std::byte*>(data), static_cast<size_t>(size));
    const auto head = static_cast<size_t>(std::clamp<int64_t>(head_bytes_ - position(), 0, size));
    frame_.Update(bytes.first(head));
    (in_tail_ ? frame_ : batch_).Update(bytes.subspan(head));
    status_ = file_->Append(bytes);
    return status_.ok() ? arrow::Status::OK() : arrow::Status::IOError("see status()");
  }
  arrow::Status Close() override { return arrow::Status::OK(); }  // HashedFile::Finish does
  bool closed() const override { return false; }
  arrow::Result<int64_t> Tell() const override { return position(); }

  int64_t position() const { return file_->bytes(); }
  // The checksum of the batch that was written since the last call.
  std::string TakeBatchHash() { return std::exchange(batch_, Hasher128()).Hex(); }
  void BeginTail() { in_tail_ = true; }
  std::string FrameHash() const { return frame_.Hex(); }
  HashedFile& file() { return *file_; }

  // An Arrow status in our words; what the file said comes first.
  Status Explain(const arrow::Status& status, const std::string& path) const {
    if (status.ok()) return {};
    if (!status_.ok()) return status_;
    const bool memory = status.IsOutOfMemory();
    return {memory ? StatusCode::kOutOfMemory : StatusCode::kInternal,
            path + ": " + status.message()};
  }

 private:
  const std::unique_ptr<HashedFile> file_;
  const int64_t head_bytes_;
  Hasher128 frame_, batch_;
  bool in_tail_ = false;
  Status status_;
};

std::shared_ptr<arrow::DataType> Floats(int width) {
  return arrow::fixed_size_list(arrow::field("item", arrow::float32(), /*nullable=*/false), width);
}

std::shared_ptr<arrow::Schema> MakeSchema(const ShardFileSpec& spec,
                                          const std::vector<SlotColumn>& slots) {
  const auto column = [](const std::string& name, std::shared_ptr<arrow::DataType> type) {
    return arrow::field(name, std::move(type), /*nullable=*/false);
  };
  arrow::FieldVector fields = {column("key", arrow::uint64()), column("weights", Floats(spec.dim))};
  for (const SlotColumn& slot : slots) {
    fields.push_back(column(slot.name, slot.scalar ? arrow::float32() : Floats(slot.width)));
  }
  fields.push_back(column("occurrences", arrow::uint64()));
  fields.push_back(column("samples", arrow::uint64()));
  fields.push_back(column("last_step", arrow::int64()));
  return arrow::schema(std::move(fields),
                       arrow::key_value_metadata(
                           {kShardFormatKey, kShardTableKey, kShardDimKey, kShardOptimizerKey},
                           {kShardFormat, spec.table, std::to_string(spec.dim), spec.optimizer}));
}

// Rows of one batch, column by column, in buffers that every batch uses again.
class BatchColumns {
 public:
  BatchColumns(std::shared_ptr<arrow::Schema> schema, const ShardFileSpec& spec,
               const std::vector<SlotColumn>& slots)
      : schema_(std::move(schema)), capacity_(CapacityOf(spec)) {
    lists_.push_back(MakeFloats(spec.dim));
    for (const SlotColumn& slot : slots) lists_.push_back(MakeFloats(slot.width));
    for (auto* column : {&keys_, &occurrences_, &samples_}) column->resize(capacity_);
    last_steps_.resize(capacity_);
  }

  int64_t rows() const { return static_cast<int64_t>(rows_); }
  bool full() const { return rows_ == capacity_; }
  void Clear() { rows_ = 0; }

  void Add(const RowView& row) {
    keys_[rows_] = row.key.value;
    occurrences_[rows_] = row.occurrences;
    samples_[rows_] = row.samples;
    last_steps_[rows_] = row.last_step;
    lists_[0].Set(rows_, row.weights.data());
    const float* state = row.state.data();
    for (size_t slot = 1; slot < lists_.size(); ++slot) {
      lists_[slot].Set(rows_, state);
      state += lists_[slot].width;
    }
    ++rows_;
  }

  // Borrows the buffers.
  std::shared_ptr<arrow::RecordBatch> Batch() const {
    arrow::ArrayDataVector columns = {Scalars(0, keys_)};
    for (size_t list = 0; list < lists_.size(); ++list) columns.push_back(List(list));
    const auto next = static_cast<int>(columns.size());
    columns.push_back(Scalars(next, occurrences_));
    columns.push_back(Scalars(next + 1, samples_));
    columns.push_back(Scalars(next + 2, last_steps_));
    return arrow::RecordBatch::Make(schema_, rows(), std::move(columns));
  }

 private:
  struct FloatRows {
    size_t width;
    std::vector<float> values;
    void Set(size_t row, const float* from) {
      std::memcpy(values.data() + row * width, from, width * sizeof(float));
    }
  };

  static size_t CapacityOf(const ShardFileSpec& spec) {
    const int64_t row_bytes = 4 * 8 + 4 * (int64_t{spec.dim} + spec.state_width);
    return static_cast<size_t>(std::max<int64_t>(1, spec.batch_bytes / row_bytes));
  }
  FloatRows MakeFloats(int width) const {
    const auto columns = static_cast<size_t>(width);
    return {columns, std::vector<float>(capacity_ * columns)};
  }
  template <class T>
  static std::shared_ptr<arrow::Buffer> Borrow(const std::vector<T>& values, size_t count) {
    return std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(values.data()),
                                           static_cast<int64_t>(count * sizeof(T)));
  }
  template <class T>
  std::shared_ptr<arrow::ArrayData> Scalars(int column, const std::vector<T>& values) const {
    return arrow::ArrayData::Make(schema_->field(column)->type(), rows(),
                                  {nullptr, Borrow(values, rows_)}, /*null_count=*/0);
  }
  std::shared_ptr<arrow::ArrayData> List(size_t list) const {
    const auto& type = schema_->field(static_cast<int>(list) + 1)->type();
    const size_t count = rows_ * lists_[list].width;
    auto values = arrow::ArrayData::Make(arrow::float32(), static_cast<int64_t>(count),
                                         {nullptr, Borrow(lists_[list].values, count)}, 0);
    if (type->id() == arrow::Type::FLOAT) return values;
    return arrow::ArrayData::Make(type, rows(), {nullptr}, {std::move(values)}, 0);
  }

  const std::shared_ptr<arrow::Schema> schema_;
  const size_t capacity_;
  size_t rows_ = 0;
  std::vector<uint64_t> keys_, occurrences_, samples_;
  std::vector<int64_t> last_steps_;
  std::vector<FloatRows> lists_;  // weights, then the slots
};

class ShardWriter {
 public:
  ShardWriter(const ShardFileSpec& spec, std::shared_ptr<arrow::Schema> schema,
              const std::vector<SlotColumn>& slots)
      : spec_(spec),
        name_(ShardFileName(spec.table, spec.server, spec.servers)),
        path_(spec.folder + "/" + name_),
        begin_(ShardBegin(spec.server, spec.servers)),
        end_(ShardBegin(spec.server + 1, spec.servers)),
        schema_(std::move(schema)),
        columns_(schema_, spec, slots) {
    options_.use_threads = false;
  }

  Status Open(FileSystem& fs) {
    // The magic of 8 bytes, then the schema as a message.
    const auto schema = arrow::ipc::SerializeSchema(*schema_);
    if (!schema.ok()) return {StatusCode::kInternal, path_ + ": " + schema.status().message()};
    head_bytes_ = 8 + (*schema)->size();
    TRESTLE_ASSIGN_OR_RETURN(auto file, HashedFile::Create(fs, path_));
    stream_ = std::make_shared<ShardStream>(std::move(file), head_bytes_);
    auto writer = arrow::ipc::MakeFileWriter(stream_, schema_, options_, footer_);
    TRESTLE_RETURN_IF_ERROR(stream_->Explain(writer.status(), path_));
    writer_ = std::move(writer).ValueUnsafe();
    return {};
  }

  Status Add(const RowView& row) {
    const uint64_t mixed = Mix64(row.key.value);
    TRESTLE_RETURN_IF_ERROR(Check(row, mixed));
    if (columns_.rows() == 0) first_ = PartitionOf(row.key);
    last_ = mixed;
    columns_.Add(row);
    return columns_.full() ? WriteBatch() : Status();
  }

  Result<FileEntry> Finish() {
    if (columns_.rows() > 0) TRESTLE_RETURN_IF_ERROR(WriteBatch());
    const int64_t batches_end = std::max(head_bytes_, stream_->position());
    // The writer holds on to this metadata and writes it now, into the footer.
    footer_->Append(kShardIndexKey, IndexText(index_));
    stream_->BeginTail();
    TRESTLE_RETURN_IF_ERROR(stream_->Explain(writer_->Close(), path_));
    FileEntry entry;
    entry.set_name(name_);
    TRESTLE_ASSIGN_OR_RETURN(*entry.mutable_xxh3_128(), stream_->file().Finish());
    entry.set_bytes(stream_->position());
    entry.set_table(spec_.table);
    entry.set_begin_partition(begin_);
    entry.set_end_partition(end_);
    entry.set_rows(rows_);
    entry.set_head_bytes(head_bytes_);
    entry.set_tail_bytes(entry.bytes() - batches_end);
    entry.set_frame_xxh3_128(stream_->FrameHash());
    return entry;
  }

 private:
  Status Check(const RowView& row, uint64_t mixed) const {
    const uint32_t partition = PartitionOf(row.key);
    const char* wrong = nullptr;
    if (last_ && mixed <= *last_) wrong = "is out of order";
    if (partition < begin_ || partition >= end_) wrong = "is in another server's partition";
    if (row.weights.size() != static_cast<size_t>(spec_.dim)) wrong = "has another dim";
    if (row.state.size() != static_cast<size_t>(spec_.state_width)) wrong = "has other state";
    if (wrong == nullptr) return {};
    return {StatusCode::kInternal, path_ + ": key " + std::to_string(row.key.value) + " " + wrong};
  }

  Status WriteBatch() {
    const auto batch = columns_.Batch();
    const int64_t begin = std::max(head_bytes_, stream_->position());
    TRESTLE_RETURN_IF_ERROR(stream_->Explain(writer_->WriteRecordBatch(*batch), path_));
    if (index_.empty()) TRESTLE_RETURN_IF_ERROR(CheckHead(*batch));
    index_.push_back({begin, stream_->position() - begin, columns_.rows(), first_,
                      static_cast<uint32_t>(*last_ >> 48), stream_->TakeBatchHash()});
    rows_ += columns_.rows();
    columns_.Clear();
    return {};
  }

  // That the head is as large as expected, whatever version of Arrow this is.
  Status CheckHead(const arrow::RecordBatch& batch) const {
    int64_t size = 0;
    TRESTLE_RETURN_IF_ERROR(
        stream_->Explain(arrow::ipc::GetRecordBatchSize(batch, options_, &size), path_));
    if (stream_->position() == head_bytes_ + size) return {};
    return {StatusCode::kInternal, path_ + ": Arrow wrote a head of " +
                                       std::to_string(stream_->position() - size) +
                                       " bytes, expected " + std::to_string(head_bytes_)};
  }

  const ShardFileSpec& spec_;
  const std::string name_, path_;
  const uint32_t begin_, end_;
  const std::shared_ptr<arrow::Schema> schema_;
  arrow::ipc::IpcWriteOptions options_ = arrow::ipc::IpcWriteOptions::Defaults();
  const std::shared_ptr<Metadata> footer_ = std::make_shared<Metadata>();
  int64_t head_bytes_ = 0;
  std::shared_ptr<ShardStream> stream_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
  BatchColumns columns_;
  uint32_t first_ = 0;            // partition of the batch's first row
  std::optional<uint64_t> last_;  // mixed key of the last row
  std::vector<BatchEntry> index_;
  int64_t rows_ = 0;
};

}  // namespace

Result<FileEntry> WriteShardFile(FileSystem& fs, const ShardFileSpec& spec, const RowSource& rows) {
  TRESTLE_ASSIGN_OR_RETURN(const auto slots,
                           SlotColumns(spec.optimizer, spec.dim, spec.state_width));
  ShardWriter writer(spec, MakeSchema(spec, slots), slots);
  TRESTLE_RETURN_IF_ERROR(writer.Open(fs));
  TRESTLE_RETURN_IF_ERROR(rows([&](const RowView& row) { return writer.Add(row); }));
  return writer.Finish();
}

}  // namespace trestle
