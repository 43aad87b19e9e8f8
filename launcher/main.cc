#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include "launcher/commands.h"
#include "launcher/logging.h"
#include "launcher/report_error.h"
#include "launcher/signals.h"

namespace {

// A full disk or a closed descriptor shows here at the latest.
trestle::Status FlushOutput() {
  std::cout.flush();  // goes to stdout
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return {};
  const std::string reason = errno != 0 ? std::strerror(errno) : "an earlier write failed";
  return {trestle::StatusCode::kIoError, "standard output: " + reason};
}

}  // namespace

int main(int argc, char** argv) {
  trestle::StartLogging(argv[0]);
  trestle::IgnoreBrokenPipes();
  const int code = trestle::RunCommandLine(argc, argv);
  const trestle::Status written = FlushOutput();
  if (code != 0 || written.ok()) return code;
  trestle::ReportError(written, std::cerr);
  return trestle::ExitCode(written.code());
}
