// Runs the built `trestle` for tests of whole jobs and reads what it prints.
// Thread safety: pure functions. Errors: a job that should succeed and does not is an empty digest
// and an exit code; tests print the output.
#pragma once

#include <string>
#include <vector>

#include "tests/support/process.h"

namespace trestle {

struct JobRun {
  int ranks = 1;
  bool mpirun = true;                  // false: one process, no mpirun
  std::vector<std::string> arguments;  // after the program's name
};

// What a job is spread over: the same result is expected of each.
struct Shape {
  int ranks;
  bool mpirun;
  int servers;  // dedicated ones among the ranks
};

struct JobResult {
  ProcessResult process;
  std::string digest;  // of the line "digest <hex>"; empty without one
};

// build/<preset>/bin/trestle of the build that the test belongs to.
std::string TrestleProgram();
Command JobCommand(const JobRun& run);
JobResult RunTrestle(const JobRun& run);

// What follows `label` up to the end of its line; empty if it is not there.
std::string LineAfter(const std::string& output, const std::string& label);
// How often `text` occurs.
int Count(const std::string& output, const std::string& text);

// Runs one statement list in DuckDB's command line (of the project's virtual environment), for
// making Parquet files. CHECKs that it succeeds.
void DuckDb(const std::string& sql);

}  // namespace trestle
