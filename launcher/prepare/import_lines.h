// What a person sees of an import: one live line on a terminal, a plain one every ten seconds
// elsewhere, and what came of it at the end.
//
// Thread safety: one thread at a time (ImportProgress comes so).
#pragma once

#include <cstdio>
#include <string>

#include "base/clock.h"
#include "worker/import/import.h"

namespace trestle {

class ImportLines {
 public:
  ImportLines(std::FILE* out, bool live, const Clock& clock);

  void Say(const std::string& line);
  void Show(const ImportProgress& progress);
  // Tells of parts that were imported now; nothing where all was there.
  void End(const PreparedInput& input);

 private:
  std::string Line(const ImportProgress& progress) const;
  void Clear();

  std::FILE* const out_;
  const bool live_;
  const Clock& clock_;
  Clock::Duration start_;  // of the part at hand
  Clock::Duration shown_;
  bool line_open_ = false;
};

}  // namespace trestle
