#include "worker/import/byte_stream.h"

#include <arrow/buffer.h>
#include <arrow/io/compressed.h>
#include <arrow/io/file.h>
#include <arrow/result.h>
#include <arrow/util/compression.h>

#include <span>
#include <string_view>

#include "base/hash.h"
#include "worker/block_arrow.h"

namespace trestle {
namespace {

// The file itself, which hashes and counts what passes.
class HashedInput final : public arrow::io::InputStream {
 public:
  explicit HashedInput(std::shared_ptr<arrow::io::ReadableFile> file) : file_(std::move(file)) {}

  arrow::Result<int64_t> Read(int64_t bytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, file_->Read(bytes, out));
    hasher_.Update({static_cast<const std::byte*>(out), static_cast<size_t>(read)});
    bytes_ += read;
    return read;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, file_->Read(bytes));
    hasher_.Update(
        {reinterpret_cast<const std::byte*>(buffer->data()), static_cast<size_t>(buffer->size())});
    bytes_ += buffer->size();
    return buffer;
  }
  arrow::Status Close() override { return file_->Close(); }
  bool closed() const override { return file_->closed(); }
  arrow::Result<int64_t> Tell() const override { return bytes_; }

  int64_t bytes() const { return bytes_; }
  std::string Hex() const { return hasher_.Hex(); }

 private:
  std::shared_ptr<arrow::io::ReadableFile> file_;
  Hasher128 hasher_;
  int64_t bytes_ = 0;
};

class FileBytes final : public ByteStream {
 public:
  FileBytes(std::string path, std::shared_ptr<HashedInput> file,
            std::shared_ptr<arrow::io::InputStream> unpacked)
      : path_(std::move(path)), file_(std::move(file)), unpacked_(std::move(unpacked)) {}

  Status Read(int64_t bytes, std::string* out) override {
    const size_t begin = out->size();
    out->resize(begin + static_cast<size_t>(bytes));
    int64_t done = 0;
    while (done < bytes) {
      const auto read = unpacked_->Read(bytes - done, out->data() + begin + done);
      if (!read.ok()) return FromArrow(read.status(), path_);
      if (*read == 0) break;
      done += *read;
    }
    out->resize(begin + static_cast<size_t>(done));
    return {};
  }
  int64_t file_bytes() const override { return file_->bytes(); }
  std::string Xxh3_128() const override { return file_->Hex(); }

 private:
  const std::string path_;
  std::shared_ptr<HashedInput> file_;
  std::shared_ptr<arrow::io::InputStream> unpacked_;
};

}  // namespace

Result<std::unique_ptr<ByteStream>> OpenByteStream(const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, OpenForReading(path));
  const auto head = file->ReadAt(0, 4);
  if (!head.ok()) return FromArrow(head.status(), path);
  TRESTLE_RETURN_IF_ERROR(FromArrow(file->Seek(0), path));
  const std::string_view magic(reinterpret_cast<const char*>((*head)->data()),
                               static_cast<size_t>((*head)->size()));
  auto raw = std::make_shared<HashedInput>(std::move(file));
  auto compression = arrow::Compression::UNCOMPRESSED;
  if (magic.starts_with("\x1F\x8B")) compression = arrow::Compression::GZIP;
  if (magic == "\x28\xB5\x2F\xFD") compression = arrow::Compression::ZSTD;
  std::shared_ptr<arrow::io::InputStream> unpacked = raw;
  if (compression != arrow::Compression::UNCOMPRESSED) {
    auto codec = arrow::util::Codec::Create(compression);
    if (!codec.ok()) return FromArrow(codec.status(), path);
    auto stream = arrow::io::CompressedInputStream::Make(codec->get(), raw);
    if (!stream.ok()) return FromArrow(stream.status(), path);
    unpacked = *stream;
  }
  return std::unique_ptr<ByteStream>(
      std::make_unique<FileBytes>(path, std::move(raw), std::move(unpacked)));
}

Result<std::string> HashFile(const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto stream, OpenByteStream(path));
  std::string bytes;
  do {
    bytes.clear();
    TRESTLE_RETURN_IF_ERROR(stream->Read(4 << 20, &bytes));
  } while (!bytes.empty());
  return stream->Xxh3_128();
}

}  // namespace trestle
