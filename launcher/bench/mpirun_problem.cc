#include "launcher/bench/mpirun_problem.h"

namespace trestle {
namespace {

struct Known {
  const char* text;     // of mpirun
  const char* meaning;  // ours
};

constexpr Known kKnown[] = {
    {"There are not enough slots available",
     "mpirun has fewer slots than ranks: give hosts more `slots=` in --hosts FILE, or, for more "
     "ranks than cores, set OMPI_MCA_rmaps_base_oversubscribe=1"},
    {"attempt to run as root",
     "mpirun refuses root: set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, or "
     "use another user"},
    {"unable to reliably start one or more daemons",
     "mpirun could not start its daemon on a host: `ssh HOST true` must work without a password "
     "for each host, and Open MPI be found there at the same path"},
    {"ORTE has lost communication with a remote daemon",
     "mpirun lost a host: look whether it runs, and which network mpirun takes "
     "(`-- --mca oob_tcp_if_include NETWORK`)"},
    {"was unable to launch the specified application",
     "mpirun does not find trestle on a host: install it at the same path on all hosts, or use a "
     "folder that they share"},
    {"was unable to find the specified executable file",
     "mpirun does not find trestle on a host: install it at the same path on all hosts, or use a "
     "folder that they share"},
};

}  // namespace

std::string MpirunProblem(std::string_view output) {
  for (const Known& known : kKnown) {
    if (output.find(known.text) != std::string_view::npos) return known.meaning;
  }
  return {};
}

}  // namespace trestle
