#include "comm/operation_errors.h"

#include <algorithm>
#include <cstdio>

namespace trestle {
namespace {

constexpr size_t kMaxNamedRanks = 8;

const char* StreamName(Stream stream) {
  switch (stream) {
    case Stream::kKeys:
      return "keys";
    case Stream::kRows:
      return "rows";
    case Stream::kDense:
      return "dense";
    case Stream::kControl:
      return "control";
  }
  return "unknown";
}

// "rank 2", "ranks 1, 2 and 5", "ranks 0, 1, ... and 56 more".
std::string NameRanks(std::vector<Rank> ranks) {
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  const size_t named = std::min(ranks.size(), kMaxNamedRanks);
  const size_t more = ranks.size() - named;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < named; ++i) {
    if (i > 0) text += more == 0 && i + 1 == named ? " and " : ", ";
    text += std::to_string(ranks[i].value);
  }
  if (more > 0) text += " and " + std::to_string(more) + " more";
  return text;
}

}  // namespace

std::string Describe(Rank rank, const Operation& op) {
  std::string text = "rank " + std::to_string(rank.value);
  if (op.step >= 0) text += ", step " + std::to_string(op.step);
  text += ", ";
  if (op.phase != nullptr && *op.phase != '\0') text += std::string(op.phase) + " on ";
  return text + StreamName(op.stream);
}

std::chrono::milliseconds WaitOf(const Operation& op, std::chrono::milliseconds deadline) {
  return op.limit.count() > 0 ? op.limit : deadline;
}

Status DeadlineError(Rank rank, const Operation& op, std::chrono::milliseconds waited,
                     std::vector<Rank> missing) {
  char seconds[32];
  std::snprintf(seconds, sizeof(seconds), "%g", static_cast<double>(waited.count()) / 1000.0);
  return Status(StatusCode::kDeadlineExceeded,
                std::string("waited ") + seconds + " s for " + NameRanks(std::move(missing)))
      .Wrap(Describe(rank, op));
}

Status SizeError(Rank rank, const Operation& op, Rank from, size_t expected, size_t sent) {
  return Status(StatusCode::kInternal, "rank " + std::to_string(from.value) + " sent " +
                                           std::to_string(sent) + " bytes where " +
                                           std::to_string(expected) + " were expected")
      .Wrap(Describe(rank, op));
}

}  // namespace trestle
