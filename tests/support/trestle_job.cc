#include "tests/support/trestle_job.h"

#include <glog/logging.h>

namespace trestle {

std::string TrestleProgram() { return std::string(TRESTLE_BINARY_DIR) + "/bin/trestle"; }

Command JobCommand(const JobRun& run) {
  std::vector<std::string> argv = {TrestleProgram()};
  argv.insert(argv.end(), run.arguments.begin(), run.arguments.end());
  if (run.mpirun) return Mpirun(run.ranks, argv);
  Command command;
  command.argv = argv;
  return command;
}

JobResult RunTrestle(const JobRun& run) {
  JobResult result;
  result.process = RunCommand(JobCommand(run), Process::Seconds(600));
  result.digest = LineAfter(result.process.output, "digest ");
  return result;
}

std::string LineAfter(const std::string& output, const std::string& label) {
  const size_t at = output.find(label);
  if (at == std::string::npos) return "";
  const size_t begin = at + label.size();
  return output.substr(begin, output.find('\n', begin) - begin);
}

int Count(const std::string& output, const std::string& text) {
  int count = 0;
  for (size_t at = output.find(text); at != std::string::npos; at = output.find(text, at + 1))
    ++count;
  return count;
}

void DuckDb(const std::string& sql) {
  Command command;
  command.argv = {std::string(TRESTLE_SOURCE_DIR) + "/.venv/bin/duckdb", "-bail", "-c", sql};
  command.folder = TRESTLE_SOURCE_DIR;
  const ProcessResult result = RunCommand(command);
  CHECK_EQ(result.exit_code, 0) << sql << "\n" << result.output;
}

}  // namespace trestle
