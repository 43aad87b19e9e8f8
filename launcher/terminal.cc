#include "launcher/terminal.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "comm/mpi_communicator.h"

namespace trestle {
namespace {

bool ParentPrintsToTerminal() {
  const std::string path = "/proc/" + std::to_string(getppid()) + "/fd/1";
  const int file = open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return false;
  const bool terminal = isatty(file) != 0;
  close(file);
  return terminal;
}

}  // namespace

bool PrintsToTerminal() {
  if (isatty(STDOUT_FILENO) == 0) return false;
  return !StartedUnderMpi() || ParentPrintsToTerminal();
}

}  // namespace trestle
