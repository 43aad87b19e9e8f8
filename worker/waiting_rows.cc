#include "worker/waiting_rows.h"

#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace trestle {
namespace {

int OpenNameless(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  // Not every filesystem has such files: then it is one of a new name, which goes at once.
  std::string path = folder + "/.trestle-rows-XXXXXX";
  const int named = ::mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(path.c_str());
  return named;
}

class FileRows final : public WaitingRows {
 public:
  explicit FileRows(const std::string& folder) : name_("rows that wait in " + folder) {}

  Status Open(const std::string& folder, const std::shared_ptr<arrow::Schema>& schema) {
    const int fd = OpenNameless(folder);
    if (fd < 0) {
      return {StatusCode::kIoError,
              "cannot create a file in " + folder + ": " + std::strerror(errno)};
    }
    auto in = arrow::io::ReadableFile::Open(fd);  // the descriptor's owner from here on
    if (!in.ok()) return Waited(in.status());
    in_ = *std::move(in);
    auto out = arrow::io::FileOutputStream::Open(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!out.ok()) return Waited(out.status());
    out_ = *std::move(out);
    auto writer = arrow::ipc::MakeStreamWriter(out_, schema);
    if (!writer.ok()) return Waited(writer.status());
    writer_ = *std::move(writer);
    return {};
  }

  Status Write(const arrow::RecordBatch& rows) override {
    return Waited(writer_->WriteRecordBatch(rows));
  }

  Status Read(const std::function<Status(const arrow::RecordBatch&)>& visit) override {
    TRESTLE_RETURN_IF_ERROR(Waited(writer_->Close()));
    TRESTLE_RETURN_IF_ERROR(Waited(out_->Close()));
    TRESTLE_RETURN_IF_ERROR(Waited(in_->Seek(0)));  // both had one position
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(in_);
    if (!reader.ok()) return Waited(reader.status());
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      TRESTLE_RETURN_IF_ERROR(Waited((*reader)->ReadNext(&batch)));
      if (!batch) return {};
      TRESTLE_RETURN_IF_ERROR(visit(*batch));
    }
  }

 private:
  Status Waited(const arrow::Status& status) const {
    if (status.ok()) return {};
    const StatusCode code =
        status.IsOutOfMemory() ? StatusCode::kOutOfMemory : StatusCode::kIoError;
    return {code, name_ + ": " + status.message()};
  }

  const std::string name_;
  std::shared_ptr<arrow::io::ReadableFile> in_;
  std::shared_ptr<arrow::io::FileOutputStream> out_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

}  // namespace

Result<std::unique_ptr<WaitingRows>> WaitingRows::Create(
    const std::string& folder, const std::shared_ptr<arrow::Schema>& schema) {
  auto rows = std::make_unique<FileRows>(folder);
  TRESTLE_RETURN_IF_ERROR(rows->Open(folder, schema));
  return std::unique_ptr<WaitingRows>(std::move(rows));
}

}  // namespace trestle
