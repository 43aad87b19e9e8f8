// Strong types of the ids that travel through every room, so that none is passed for another.
#pragma once

#include <compare>
#include <cstdint>

namespace trestle {

// A row's key in one table. An integer id is its own key; a string's key is its seeded XXH3.
struct Key {
  uint64_t value = 0;
  friend auto operator<=>(const Key&, const Key&) = default;
};

// A process of the job, 0-based, as in MPI_COMM_WORLD.
struct Rank {
  int value = 0;
  friend auto operator<=>(const Rank&, const Rank&) = default;
};

}  // namespace trestle
