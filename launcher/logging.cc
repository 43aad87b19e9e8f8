#include "launcher/logging.h"

#include <glog/logging.h>

namespace trestle {

void StartLogging(const char* program) {
  FLAGS_logtostderr = false;
  FLAGS_stderrthreshold = google::GLOG_ERROR;
  FLAGS_timestamp_in_logfile_name = false;
  FLAGS_logbufsecs = 5;
  for (int severity = google::GLOG_INFO; severity <= google::GLOG_FATAL; ++severity) {
    google::SetLogDestination(severity, "");
    google::SetLogSymlink(severity, "");
  }
  google::InitGoogleLogging(program);
}

Status LogToFolder(FileSystem& fs, const std::string& run_folder, Rank rank) {
  const std::string folder = run_folder + "/logs";
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  const std::string file = folder + "/rank-" + std::to_string(rank.value) + ".log";
  // One file holds all severities: the file of INFO gets what is above it too.
  google::SetLogDestination(google::GLOG_INFO, file.c_str());
  return Ok();
}

}  // namespace trestle
