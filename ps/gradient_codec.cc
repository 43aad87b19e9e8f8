#include "ps/gradient_codec.h"

#include <algorithm>
#include <cstring>

#include "ps/parallel.h"
#include "ps/wire.h"

namespace trestle {
namespace {

size_t Width(int dim) { return static_cast<size_t>(dim); }

}  // namespace

size_t EncodedBytes(size_t rows, size_t narrow, int dim) {
  if (rows == 0) return 0;
  return BitmapBytes(rows) + (rows - narrow) * Width(dim) * sizeof(int64_t) +
         PadTo(narrow * Width(dim) * sizeof(float), 8);
}

std::byte* EncodeRows(const FixedRows& fixed, const int64_t* sums, std::span<const uint8_t> narrow,
                      int dim, std::byte* out) {
  const size_t rows = narrow.size();
  if (rows == 0) return out;
  auto* const bits = reinterpret_cast<uint8_t*>(out);
  std::fill_n(bits, BitmapBytes(rows), uint8_t{0});
  size_t floats = 0;
  for (size_t i = 0; i < rows; ++i) {
    bits[i / 8] |= static_cast<uint8_t>((narrow[i] & 1u) << (i % 8));
    floats += narrow[i] & 1u;
  }
  std::byte* wide_out = out + BitmapBytes(rows);
  std::byte* const narrow_begin = wide_out + (rows - floats) * Width(dim) * sizeof(int64_t);
  std::byte* const end = out + EncodedBytes(rows, floats, dim);
  WithDim(dim, [&](auto d) {
    const size_t width = static_cast<size_t>(int{d});
    auto* narrow_out = reinterpret_cast<float*>(narrow_begin);
    for (size_t i = 0; i < rows; ++i) {
      if (narrow[i]) {
        fixed.ToFloats(sums + i * width, d, narrow_out);
        narrow_out += width;
      } else {
        std::memcpy(wide_out, sums + i * width, width * sizeof(int64_t));
        wide_out += width * sizeof(int64_t);
      }
    }
    std::memset(narrow_out, 0,
                static_cast<size_t>(end - reinterpret_cast<std::byte*>(narrow_out)));  // padding
  });
  return end;
}

Result<size_t> LocateRows(std::span<const std::byte> bytes, size_t begin, int dim,
                          std::span<EncodedRow> rows) {
  if (rows.empty()) return begin;
  const Status short_of{StatusCode::kInternal, "gradients are shorter than their keys promise"};
  if (bytes.size() - begin < BitmapBytes(rows.size())) return short_of;
  const auto* const bits = reinterpret_cast<const uint8_t*>(bytes.data() + begin);
  size_t narrow = 0;
  for (size_t i = 0; i < rows.size(); ++i) narrow += (bits[i / 8] >> (i % 8)) & 1u;
  const size_t size = EncodedBytes(rows.size(), narrow, dim);
  if (bytes.size() - begin < size) return short_of;
  EncodedRow wide_at =
      reinterpret_cast<EncodedRow>(bytes.data()) + begin + BitmapBytes(rows.size());
  EncodedRow narrow_at = wide_at + (rows.size() - narrow) * Width(dim) * sizeof(int64_t);
  for (size_t i = 0; i < rows.size(); ++i) {
    if ((bits[i / 8] >> (i % 8)) & 1u) {
      rows[i] = narrow_at | 1;
      narrow_at += Width(dim) * sizeof(float);
    } else {
      rows[i] = wide_at;
      wide_at += Width(dim) * sizeof(int64_t);
    }
  }
  return begin + size;
}

}  // namespace trestle
