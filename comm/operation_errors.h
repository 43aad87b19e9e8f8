// The words of communication errors: where an operation stood, and whom it waited for.
// Thread safety: pure functions.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace trestle {

// "rank 0, step 17, pull on rows".
std::string Describe(Rank rank, const Operation& op);

// How long the operation may take: its own limit, else the communicator's deadline.
std::chrono::milliseconds WaitOf(const Operation& op, std::chrono::milliseconds deadline);

// "rank 0, step 17, pull on rows: waited 120 s for ranks 2 and 5". `missing` may hold duplicates.
Status DeadlineError(Rank rank, const Operation& op, std::chrono::milliseconds waited,
                     std::vector<Rank> missing);

// The two ends of a message disagree: a broken promise of a caller on one of them.
Status SizeError(Rank rank, const Operation& op, Rank from, size_t expected, size_t sent);

}  // namespace trestle
