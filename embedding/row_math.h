// RowMath: the arithmetic of one table's rows, chosen once from its spec. Tables visit the variants
// once a call (optimizer) or once a new row (initializer); nothing inside a row's loop is chosen at
// run time.
//
// Thread safety: immutable. Device: the functors are host and device, the choice is host.
#pragma once

#include <variant>

#include "embedding/row_kinds.h"
#include "embedding/table.h"

namespace trestle::embedding {

// Both take a spec of MakeTableSpec: every default filled in.
RowInitializer MakeRowInitializer(const TableSpec& spec);
RowOptimizer MakeRowOptimizer(const TableSpec& spec);

// weights[dim] of a key's new row.
inline void FillInitialWeights(const RowInitializer& initializer, uint64_t seed, uint64_t key,
                               int dim, float* weights) {
  std::visit([&](const auto& init) { init.Fill(seed, key, dim, weights); }, initializer);
}
inline int StateWidth(const RowOptimizer& optimizer, int dim) {
  return std::visit([&](const auto& o) { return o.StateWidth(dim); }, optimizer);
}
inline float InitialState(const RowOptimizer& optimizer) {
  return std::visit([](const auto& o) { return o.InitialState(); }, optimizer);
}

}  // namespace trestle::embedding
