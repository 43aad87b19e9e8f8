#include "launcher/synth/output_folder.h"

#include <string_view>

namespace trestle {
namespace {

// No pattern of a config matches it.
constexpr std::string_view kUnfinished = ".unfinished";

}  // namespace

Status OutputFolder::Open() {
  TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(folder_));
  return RemoveIf([this](const std::string& name) {
           return name.ends_with(kUnfinished) &&
                  is_ours_(name.substr(0, name.size() - kUnfinished.size()));
         })
      .status();
}

std::string OutputFolder::Add(std::string name) {
  names_.push_back(std::move(name));
  return Path(names_.back()) + std::string(kUnfinished);
}

Result<int64_t> OutputFolder::Finish() {
  TRESTLE_ASSIGN_OR_RETURN(const int64_t removed, RemoveIf(is_ours_));
  for (const std::string& name : names_) {
    TRESTLE_RETURN_IF_ERROR(fs_.Rename(Path(name) + std::string(kUnfinished), Path(name)));
  }
  return removed;
}

Result<int64_t> OutputFolder::RemoveIf(const std::function<bool(const std::string&)>& is_old) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs_.List(folder_));
  int64_t removed = 0;
  for (const std::string& name : names) {
    if (!is_old(name)) continue;
    TRESTLE_RETURN_IF_ERROR(fs_.Remove(Path(name)));
    ++removed;
  }
  return removed;
}

}  // namespace trestle
