// OutputWatch: what a job's output tells about its end. mpirun and trestle say on stderr which rank
// died, of what, and where; `trestle launch` passes the output through and keeps these few facts
// for its own line.
//
// Thread safety: one thread. Bounds: lines beyond 4 KiB are cut; everything else is forgotten.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trestle {

class OutputWatch {
 public:
  void Add(std::string_view bytes);

  // "rank 3 on node7 was killed by signal 9 (Killed)", "rank 2 ended with code 5", "node7 was
  // lost"; empty: nothing was said.
  const std::string& died() const { return died_; }
  // The first "trestle: error: " line, without these words; empty if there was none.
  const std::string& error() const { return error_; }

 private:
  void Line(std::string_view line);

  std::string line_;
  std::string died_, error_;
  std::string rank_of_exit_;  // "Process name:" was read, its "Exit code:" comes next
};

}  // namespace trestle
