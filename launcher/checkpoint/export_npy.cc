// numpy's .npy, version 1.0: "\x93NUMPY", the version, the header's size as uint16, a Python
// dictionary padded with spaces to a multiple of 64 bytes, then the values.
#include <bit>

#include "base/atomic_file.h"
#include "launcher/checkpoint/export_formats.h"

namespace trestle {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they are");

constexpr size_t kAlignment = 64;
constexpr size_t kBeforeDictionary = 10;

// `shape` as Python writes a tuple: "(3,)", "(3, 16)".
std::string NpyHeader(const std::string& type, const std::string& shape) {
  std::string dictionary =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  const size_t unpadded = kBeforeDictionary + dictionary.size() + 1;
  dictionary.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 0xFF);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

}  // namespace

Status ExportNpy(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
                 const std::string& keys_path, const std::string& weights_path) {
  const std::string rows = std::to_string(table.rows());
  TRESTLE_ASSIGN_OR_RETURN(const auto keys, AtomicFile::Create(fs, keys_path));
  TRESTLE_ASSIGN_OR_RETURN(const auto weights, AtomicFile::Create(fs, weights_path));
  TRESTLE_RETURN_IF_ERROR(keys->Append(NpyHeader("<u8", "(" + rows + ",)")));
  TRESTLE_RETURN_IF_ERROR(
      weights->Append(NpyHeader("<f4", "(" + rows + ", " + std::to_string(table.dim()) + ")")));
  const auto write = [&](const RowBlock& block) -> Status {
    for (size_t i = 0; i < block.size(); ++i) {
      const RowView row = block[i];
      TRESTLE_RETURN_IF_ERROR(keys->Append(&row.key.value, sizeof(row.key.value)));
      TRESTLE_RETURN_IF_ERROR(weights->Append(row.weights.data(), row.weights.size_bytes()));
    }
    return {};
  };
  TRESTLE_RETURN_IF_ERROR(ForAllBlocks(reader, table, write));
  TRESTLE_RETURN_IF_ERROR(keys->Commit());
  return weights->Commit();
}

}  // namespace trestle
