// What Open MPI's mpirun says in paragraphs when it cannot start a job, as one line with the cure.
// An engineer's first job on a new cluster meets these before anything of trestle runs.
//
// Thread safety: pure function. Collective: no. Source: the texts of Open MPI 4.1 (help-orte*.txt).
#pragma once

#include <string>
#include <string_view>

namespace trestle {

// Empty: `output` has none of those that are known.
std::string MpirunProblem(std::string_view output);

}  // namespace trestle
