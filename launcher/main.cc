#include "launcher/commands.h"
#include "launcher/logging.h"
#include "launcher/signals.h"

int main(int argc, char** argv) {
  trestle::StartLogging(argv[0]);
  trestle::IgnoreBrokenPipes();
  return trestle::RunCommandLine(argc, argv);
}
