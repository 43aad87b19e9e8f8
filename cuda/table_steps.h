// What the kernels of a table in GPU memory do, written once: for element i of a call, a *tile* of
// threads runs step(tile, i). The tile is 8 threads of a warp in a kernel
// (cuda/table_kernels_cuda.cu), or one thread of the host in tests, which so run these very lines
// under the sanitizers.
//
// The index is open addressing by *windows* of 8 slots: a key's home window is of its mixed bits,
// and what does not fit goes on to the next one. A tile reads a window in one go. Within a call
// keys are distinct and nobody looks for a key that the same call inserts, so claiming a slot is
// one compare-and-swap, and what lies behind it needs no further order.
//
// A tile offers
//   size(), rank()         threads, and which this one is
//   Where(test)            bits 0..7 of slots for which test(slot) holds, the same in all threads
//   Claim(slot, from, to)  whether this tile swapped it, the same in all threads
//   Add(sum, value), Or(word, bits)   atomic; Lead(f)  f() by one thread, then all go on
//
// Thread safety: as said of a call. Device: host and device. Errors: none; see GpuTable.
// Source: windows worked on by a tile are WarpCore's (Juenger et al., HiPC 2020) and
// cuCollections'.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/fixed_point.h"
#include "base/hash.h"
#include "base/host_device.h"
#include "embedding/row_kinds.h"

namespace trestle::cuda {

inline constexpr uint64_t kFreeSlot = ~uint64_t{0};  // as bytes 0xFF; one key mixes to it
inline constexpr uint32_t kAbsentRow = 0xFFFF'FFFFu;
inline constexpr int kWindow = 8;

struct IndexView {
  uint64_t* keys;  // [slots + 1] mixed; the last is not a key's
  uint32_t* rows;  // [slots + 1]; the last is the row of the key that mixes to kFreeSlot
  uint64_t slots;  // a power of two, of at least a window
};

struct RowCounters {
  uint64_t key;  // as it was given
  uint64_t occurrences;
  uint64_t samples;
  int64_t last_step;
};

struct RowsView {
  char* const* blocks;
  int row_bits;
  int row_floats;
  int64_t floats_offset;

  TRESTLE_HD RowCounters* Counters(uint32_t row) const {
    return reinterpret_cast<RowCounters*>(blocks[row >> row_bits]) + InBlock(row);
  }
  TRESTLE_HD float* Floats(uint32_t row) const {
    return reinterpret_cast<float*>(blocks[row >> row_bits] + floats_offset) +
           static_cast<int64_t>(InBlock(row)) * row_floats;
  }

 private:
  TRESTLE_HD uint32_t InBlock(uint32_t row) const { return row & ((1u << row_bits) - 1); }
};

TRESTLE_HD inline int LowestBit(uint32_t bits) {
  int bit = 0;
  while ((bits & 1u) == 0) {
    bits >>= 1;
    ++bit;
  }
  return bit;
}

template <class Tile>
TRESTLE_HD uint32_t FindRow(const Tile& tile, const IndexView& index, uint64_t mixed) {
  if (mixed == kFreeSlot) return index.rows[index.slots];
  const uint64_t last = index.slots - 1;
  for (uint64_t window = mixed & last & ~uint64_t{kWindow - 1};;
       window = (window + kWindow) & last) {
    const uint64_t* const keys = index.keys + window;
    const uint32_t hits = tile.Where([&](int slot) { return keys[slot] == mixed; });
    if (hits != 0) return index.rows[window + LowestBit(hits)];
    if (tile.Where([&](int slot) { return keys[slot] == kFreeSlot; }) != 0) return kAbsentRow;
  }
}

// The key must not be there, and the index not full.
template <class Tile>
TRESTLE_HD void InsertRow(const Tile& tile, const IndexView& index, uint64_t mixed, uint32_t row) {
  if (mixed == kFreeSlot) {
    tile.Lead([&] { index.rows[index.slots] = row; });
    return;
  }
  const uint64_t last = index.slots - 1;
  for (uint64_t window = mixed & last & ~uint64_t{kWindow - 1};;
       window = (window + kWindow) & last) {
    uint64_t* const keys = index.keys + window;
    for (;;) {
      const uint32_t free =
          tile.Where([&](int slot) { return tile.Load(keys + slot) == kFreeSlot; });
      if (free == 0) break;  // the window is full
      const int slot = LowestBit(free);
      if (!tile.Claim(keys + slot, kFreeSlot, mixed)) continue;  // another key has it now
      tile.Lead([&] { index.rows[window + slot] = row; });
      return;
    }
  }
}

// rows[i] of keys[i], and whether there is none.
struct FindRows {
  IndexView index;
  const uint64_t* keys;
  uint32_t* rows;
  uint32_t* missing;  // 0 or 1

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    const uint32_t row = FindRow(tile, index, Mix64(keys[i]));
    tile.Lead([&] {
      rows[i] = row;
      missing[i] = row == kAbsentRow ? 1 : 0;
    });
  }
};

// Gives the missing keys rows first + 0, first + 1, ... in the order of the call.
template <class Init>
struct CreateRows {
  IndexView index;
  RowsView table;
  Init init;
  uint64_t seed;
  int dim;
  int state_width;
  float initial_state;
  int64_t first;
  const uint64_t* keys;
  const uint32_t* missing;
  const uint32_t* before;  // missing keys before i
  uint32_t* rows;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    if (missing[i] == 0) return;
    const auto row = static_cast<uint32_t>(first + before[i]);
    InsertRow(tile, index, Mix64(keys[i]), row);
    float* const floats = table.Floats(row);
    tile.Lead([&] {
      *table.Counters(row) = {keys[i], 0, 0, 0};
      init.Fill(seed, keys[i], dim, floats);
      rows[i] = row;
    });
    for (int d = dim + tile.rank(); d < table.row_floats; d += tile.size()) {
      floats[d] = d < dim + state_width ? initial_state : 0.0f;
    }
  }
};

// Puts the rows [0, n) into a new index.
struct Reindex {
  IndexView index;
  RowsView table;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    const auto row = static_cast<uint32_t>(i);
    InsertRow(tile, index, Mix64(table.Counters(row)->key), row);
  }
};

// out[i, :] is `floats` floats of the row, from its first; of a row that is absent what `init`
// gives the key, or zeros.
template <class Init>
struct GatherRows {
  RowsView table;
  Init init;
  bool unseen_init;
  uint64_t seed;
  int floats;
  const uint64_t* keys;  // null where no row is absent
  const uint32_t* rows;
  float* out;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    float* const to = out + i * floats;
    if (rows[i] == kAbsentRow && unseen_init) {
      tile.Lead([&] { init.Fill(seed, keys[i], floats, to); });
      return;
    }
    const float* const from = rows[i] == kAbsentRow ? nullptr : table.Floats(rows[i]);
    for (int d = tile.rank(); d < floats; d += tile.size()) to[d] = from ? from[d] : 0.0f;
  }
};

// Gather and pooling in one: out[b, :] is the sum, or the mean, of the weights of the rows of bag
// b, items [offsets[b], offsets[b + 1]); rows[unique[item]] is an item's row. In the order of the
// items, so that bits are those of the same sum on the host. An absent row and an empty bag are
// zeros.
struct PoolRows {
  RowsView table;
  int dim;
  bool mean;
  const int64_t* offsets;
  const uint32_t* unique;
  const uint32_t* rows;
  float* out;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t bag) const {
    const int64_t begin = offsets[bag], end = offsets[bag + 1];
    const float factor = mean && end > begin ? 1.0f / static_cast<float>(end - begin) : 1.0f;
    for (int d = tile.rank(); d < dim; d += tile.size()) {
      float sum = 0.0f;
      for (int64_t item = begin; item < end; ++item) {
        const uint32_t row = rows[unique[item]];
        if (row != kAbsentRow) sum += table.Floats(row)[d];
      }
      out[bag * dim + d] = sum * factor;
    }
  }
};

// sums[unique[i], :] += gradients[i, :] in fixed point: integers, so in any order. `excess` becomes
// other than zero if any is not a term.
struct AddGradients {
  FixedUnit unit;
  int dim;
  const float* gradients;
  const uint32_t* unique;
  uint64_t* sums;
  uint64_t* excess;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    uint64_t bad = 0;
    for (int d = tile.rank(); d < dim; d += tile.size()) {
      const int64_t term = unit.ToFixed(static_cast<double>(gradients[i * dim + d]));
      bad |= FixedUnit::ExcessBits(term);
      tile.Add(sums + static_cast<int64_t>(unique[i]) * dim + d, static_cast<uint64_t>(term));
    }
    if (bad != 0) tile.Or(excess, bad);
  }
};

// One optimizer step on each row. An optimizer whose state has the row's width works element by
// element, so a tile's threads share a row; what needs the whole row is done by one.
template <class Optimizer>
struct UpdateRows {
  RowsView table;
  Optimizer optimizer;  // AtStep
  int dim;
  int64_t step;
  const uint32_t* rows;
  const float* gradients;
  const uint32_t* occurrences;
  const uint32_t* samples;

  static constexpr bool kWholeRow = std::is_same_v<Optimizer, embedding::RowwiseAdagradRow>;
  static constexpr int kMaxSlots = 2;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    float* const weights = table.Floats(rows[i]);
    float* const state = weights + dim;
    const float* const gradient = gradients + i * dim;
    if constexpr (kWholeRow) {
      tile.Lead([&] { optimizer.Apply(weights, state, gradient, dim); });
    } else {
      for (int d = tile.rank(); d < dim; d += tile.size()) {
        ApplyTo(weights + d, state + d, gradient + d);
      }
    }
    tile.Lead([&] {
      RowCounters* const counters = table.Counters(rows[i]);
      counters->occurrences += occurrences[i];
      counters->samples += samples[i];
      counters->last_step = step;
    });
  }

 private:
  // A row of one element, whose slots of state lie `dim` apart.
  TRESTLE_HD void ApplyTo(float* weight, float* state, const float* gradient) const {
    float slots[kMaxSlots] = {};
    const int count = Optimizer::StateWidth(1);
    for (int s = 0; s < count; ++s) slots[s] = state[s * dim];
    optimizer.Apply(weight, slots, gradient, 1);
    for (int s = 0; s < count; ++s) state[s * dim] = slots[s];
  }
};

// Rows as they are in files: rows[i] gets the floats and counters i.
struct WriteRows {
  RowsView table;
  int floats;
  const uint32_t* rows;
  const float* from;
  const RowCounters* counters;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    float* const to = table.Floats(rows[i]);
    for (int d = tile.rank(); d < floats; d += tile.size()) to[d] = from[i * floats + d];
    tile.Lead([&] { *table.Counters(rows[i]) = counters[i]; });
  }
};

// counters[i] of rows[i], or of row first + i where `rows` is null.
struct ReadCounters {
  RowsView table;
  int64_t first;
  const uint32_t* rows;
  RowCounters* counters;

  template <class Tile>
  TRESTLE_HD void operator()(const Tile& tile, int64_t i) const {
    const uint32_t row = rows == nullptr ? static_cast<uint32_t>(first + i) : rows[i];
    tile.Lead([&] { counters[i] = *table.Counters(row); });
  }
};

}  // namespace trestle::cuda
