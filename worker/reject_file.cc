#include "worker/reject_file.h"

#include <filesystem>
#include <span>
#include <string_view>

namespace trestle {
namespace {

constexpr std::string_view kPrefix = "rejected-rank-", kSuffix = ".tsv";

Status RemoveAll(FileSystem& fs, const std::string& folder, const std::string& prefix) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    if (!name.starts_with(prefix) || !name.ends_with(kSuffix)) continue;
    const Status removed = fs.Remove(folder + "/" + name);
    const bool by_other_rank = removed.code() == StatusCode::kNotFound;
    if (!by_other_rank) TRESTLE_RETURN_IF_ERROR(removed);
  }
  return {};
}

}  // namespace

std::string RejectPath(const std::string& folder, Rank rank) {
  return folder + "/" + std::string(kPrefix) + std::to_string(rank.value) + std::string(kSuffix);
}

std::string PredictionRejectPath(const std::string& output, Rank rank) {
  return output + "." + std::string(kPrefix) + std::to_string(rank.value) + std::string(kSuffix);
}

Status RemoveRejectFiles(FileSystem& fs, const std::string& folder) {
  return RemoveAll(fs, folder, std::string(kPrefix));
}

Status RemovePredictionRejects(FileSystem& fs, const std::string& output) {
  const std::filesystem::path path(output);
  const std::string folder = path.parent_path().string();
  return RemoveAll(fs, folder.empty() ? "." : folder,
                   path.filename().string() + "." + std::string(kPrefix));
}

void RejectFile::Add(const std::string& file, int64_t row, const std::string& column,
                     const std::string& reason) {
  Add(file, ", row ", row, column, reason);
}

void RejectFile::AddLine(const std::string& file, int64_t line, const std::string& column,
                         const std::string& reason) {
  Add(file, ", line ", line, column, reason);
}

void RejectFile::Add(const std::string& file, const char* unit, int64_t count,
                     const std::string& column, const std::string& reason) {
  const std::string number = std::to_string(count);
  if (first_.empty()) first_ = file + unit + number + ": " + reason;
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
