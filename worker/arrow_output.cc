#include "worker/arrow_output.h"

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include "base/atomic_file.h"

namespace trestle {
namespace {

class Stream final : public arrow::io::OutputStream {
 public:
  explicit Stream(AtomicFile& file) : file_(file) {}
  const Status& error() const { return error_; }

  arrow::Status Write(const void* data, int64_t bytes) override {
    if (error_.ok()) error_ = file_.Append(data, static_cast<size_t>(bytes));
    return error_.ok() ? arrow::Status::OK() : arrow::Status::IOError(error_.ToString());
  }
  arrow::Result<int64_t> Tell() const override { return file_.bytes(); }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }

 private:
  AtomicFile& file_;
  Status error_;
  bool closed_ = false;
};

class AtomicOutput final : public ArrowOutput {
 public:
  explicit AtomicOutput(std::unique_ptr<AtomicFile> file)
      : file_(std::move(file)), stream_(std::make_shared<Stream>(*file_)) {}

  const std::string& path() const override { return file_->path(); }
  std::shared_ptr<arrow::io::OutputStream> stream() const override { return stream_; }
  Status StatusOf(const arrow::Status& status) const override {
    if (!stream_->error().ok()) return stream_->error();
    if (status.ok()) return {};
    const StatusCode code =
        status.IsOutOfMemory() ? StatusCode::kOutOfMemory : StatusCode::kIoError;
    return {code, path() + ": cannot write: " + status.message()};
  }
  Status Commit() override { return file_->Commit(); }

 private:
  const std::unique_ptr<AtomicFile> file_;
  const std::shared_ptr<Stream> stream_;
};

}  // namespace

Result<std::unique_ptr<ArrowOutput>> ArrowOutput::Create(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(auto file, AtomicFile::Create(fs, path));
  return std::unique_ptr<ArrowOutput>(std::make_unique<AtomicOutput>(std::move(file)));
}

}  // namespace trestle
