// GradientCodec: rows of fixed-point sums on the wire (message 5 of ps/wire.h). A sum that is a
// float, as that of a key from one lane always is, travels as 4 bytes an element; other rows as 8.
//
// Thread safety: pure functions. Device: host.
// Errors: kInternal when bytes are not what a bitmap promises.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "ps/fixed_rows.h"

namespace trestle {

// Bytes of `rows` rows of which `narrow` are narrow.
size_t EncodedBytes(size_t rows, size_t narrow, int dim);

// Writes sums [rows, dim]; narrow[i] says whether row i is (FixedRows::AreFloats). Returns the end.
std::byte* EncodeRows(const FixedRows& fixed, const int64_t* sums, std::span<const uint8_t> narrow,
                      int dim, std::byte* out);

// Where an encoded row is: its address, which is even, plus 1 if it is narrow.
using EncodedRow = uintptr_t;

// Finds rows.size() rows that begin at `begin` of `bytes`. Returns where the next table begins.
Result<size_t> LocateRows(std::span<const std::byte> bytes, size_t begin, int dim,
                          std::span<EncodedRow> rows);

// sum += the encoded row.
template <class Dim>
void AddEncoded(const FixedRows& fixed, EncodedRow encoded, Dim dim, int64_t* sum) {
  const std::byte* const row = reinterpret_cast<const std::byte*>(encoded & ~EncodedRow{1});
  if (encoded & 1) {
    fixed.Add(reinterpret_cast<const float*>(row), dim, sum);
  } else {
    const auto* const wide = reinterpret_cast<const int64_t*>(row);
    for (int d = 0; d < dim; ++d) sum[d] = FixedRows::Sum(sum[d], wide[d]);
  }
}

}  // namespace trestle
