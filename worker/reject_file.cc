#include "worker/reject_file.h"

#include <span>

namespace trestle {

void RejectFile::Add(const std::string& file, int64_t row, const std::string& column,
                     const std::string& reason) {
  const std::string number = std::to_string(row);
  if (first_.empty()) first_ = file + ", row " + number + ": " + reason;
  if (path_.empty() || lines_ == kMaxRejectLines) return;
  ++lines_;
  queued_ += file + "\t" + number + "\t" + column + "\t" + reason + "\n";
}

Status RejectFile::Flush() {
  if (queued_.empty()) return {};
  TRESTLE_ASSIGN_OR_RETURN(auto file, fs_.OpenAppend(path_));
  TRESTLE_RETURN_IF_ERROR(file->Append(std::as_bytes(std::span(queued_))));
  queued_.clear();
  return file->Close();
}

}  // namespace trestle
