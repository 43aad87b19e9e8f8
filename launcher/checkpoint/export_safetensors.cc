// One safetensors file. Tensors of 8 bytes a value come first, so that all are aligned.
#include <bit>

#include "base/atomic_file.h"
#include "launcher/checkpoint/export_formats.h"
#include "ps/checkpoint/safetensors_header.h"

namespace trestle {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they are");

std::string KeysName(const TableEntry& table) { return "embedding." + table.name() + ".keys"; }
std::string WeightsName(const TableEntry& table) {
  return "embedding." + table.name() + ".weights";
}

Result<std::string> HeaderText(const Manifest& manifest, const std::vector<TableEntry>& tables,
                               const std::vector<NamedTensor>& dense) {
  SafetensorsHeader header(
      SafetensorsHeader::Facts{{"checkpoint", manifest.name()},
                               {"digest", manifest.digest()},
                               {"step", std::to_string(manifest.cursor().step())}});
  const auto add = [&](const std::string& name, const char* type, const std::vector<int64_t>& shape,
                       int64_t bytes) -> Status {
    if (header.Add(name, type, shape, static_cast<size_t>(bytes))) return {};
    // A dense tensor's that looks like a table's.
    return {StatusCode::kUnsupported,
            "two tensors are called \"" + name + "\"; choose tables with --table"};
  };
  for (const TableEntry& t : tables) {
    TRESTLE_RETURN_IF_ERROR(add(KeysName(t), "U64", {t.rows()}, 8 * t.rows()));
  }
  for (const TableEntry& t : tables) {
    TRESTLE_RETURN_IF_ERROR(
        add(WeightsName(t), "F32", {t.rows(), t.dim()}, 4 * t.rows() * t.dim()));
  }
  for (const NamedTensor& t : dense) {
    const auto bytes = static_cast<int64_t>(sizeof(float) * t.values.size());
    TRESTLE_RETURN_IF_ERROR(add(t.name, "F32", {t.rows, t.cols}, bytes));
  }
  return header.Text();
}

Status AppendRows(const CheckpointReader& reader, const TableEntry& table,
                  const std::function<Status(const RowView&)>& append) {
  return ForAllBlocks(reader, table, [&](const RowBlock& block) -> Status {
    for (size_t i = 0; i < block.size(); ++i) TRESTLE_RETURN_IF_ERROR(append(block[i]));
    return {};
  });
}

}  // namespace

Status ExportSafetensors(FileSystem& fs, const CheckpointReader& reader,
                         const std::vector<TableEntry>& tables, bool dense,
                         const std::string& path) {
  std::vector<NamedTensor> tensors;
  if (dense) {
    TRESTLE_ASSIGN_OR_RETURN(tensors, reader.Dense());
  }
  TRESTLE_ASSIGN_OR_RETURN(const std::string header,
                           HeaderText(reader.manifest(), tables, tensors));
  TRESTLE_ASSIGN_OR_RETURN(const auto file, AtomicFile::Create(fs, path));
  TRESTLE_RETURN_IF_ERROR(file->Append(header));
  for (const TableEntry& table : tables) {
    TRESTLE_RETURN_IF_ERROR(AppendRows(reader, table, [&](const RowView& row) {
      return file->Append(&row.key.value, sizeof(row.key.value));
    }));
  }
  for (const TableEntry& table : tables) {
    TRESTLE_RETURN_IF_ERROR(AppendRows(reader, table, [&](const RowView& row) {
      return file->Append(row.weights.data(), row.weights.size_bytes());
    }));
  }
  for (const NamedTensor& tensor : tensors) {
    TRESTLE_RETURN_IF_ERROR(
        file->Append(tensor.values.data(), sizeof(float) * tensor.values.size()));
  }
  return file->Commit();
}

}  // namespace trestle
