// AtomicStream: what Arrow writes goes to an AtomicFile. Included by .cc files only.
//
// Thread safety: one thread. Errors: the disk's first one is kept whole (StatusOf), as Arrow would
// only know its text.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/status.h>

#include <string>

#include "base/atomic_file.h"

namespace trestle {

class AtomicStream final : public arrow::io::OutputStream {
 public:
  explicit AtomicStream(AtomicFile& file) : file_(file) {}

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

  // What the disk said, if it was the disk; else what Arrow did.
  Status StatusOf(const arrow::Status& status) const {
    if (!error_.ok()) return error_;
    if (status.ok()) return {};
    const StatusCode code =
        status.IsOutOfMemory() ? StatusCode::kOutOfMemory : StatusCode::kIoError;
    return {code, file_.path() + ": cannot write: " + status.message()};
  }

 private:
  AtomicFile& file_;
  Status error_;
  bool closed_ = false;
};

}  // namespace trestle
