// safetensors: the header's size as uint64, a JSON header padded with spaces to a multiple of 8,
// and the tensors one after the other. Those of 8 bytes a value come first, so that all are
// aligned.
#include <bit>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "launcher/checkpoint/export_formats.h"

namespace trestle {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "values are written as they are");

class Header {
 public:
  explicit Header(const Manifest& manifest) {
    json_["__metadata__"] = {{"checkpoint", manifest.name()},
                             {"digest", manifest.digest()},
                             {"step", std::to_string(manifest.cursor().step())}};
  }

  // kUnsupported if the name is taken: a dense tensor's that looks like a table's.
  Status Add(const std::string& name, const char* type, const std::vector<int64_t>& shape,
             int64_t bytes) {
    if (json_.contains(name)) {
      return {StatusCode::kUnsupported,
              "two tensors are called \"" + name + "\"; choose tables with --table"};
    }
    json_[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {end_, end_ + bytes}}};
    end_ += bytes;
    return {};
  }

  std::string Text() const {
    std::string json = json_.dump();
    json.append((8 - json.size() % 8) % 8, ' ');
    const uint64_t size = json.size();
    return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + json;
  }

 private:
  Json json_ = Json::object();
  int64_t end_ = 0;
};

std::string KeysName(const TableEntry& table) { return "embedding." + table.name() + ".keys"; }
std::string WeightsName(const TableEntry& table) {
  return "embedding." + table.name() + ".weights";
}

Result<std::string> HeaderText(const Manifest& manifest, const std::vector<TableEntry>& tables,
                               const std::vector<NamedTensor>& dense) {
  Header header(manifest);
  for (const TableEntry& t : tables) {
    TRESTLE_RETURN_IF_ERROR(header.Add(KeysName(t), "U64", {t.rows()}, 8 * t.rows()));
  }
  for (const TableEntry& t : tables) {
    TRESTLE_RETURN_IF_ERROR(
        header.Add(WeightsName(t), "F32", {t.rows(), t.dim()}, 4 * t.rows() * t.dim()));
  }
  for (const NamedTensor& t : dense) {
    const auto bytes = static_cast<int64_t>(sizeof(float) * t.values.size());
    TRESTLE_RETURN_IF_ERROR(header.Add(t.name, "F32", {t.rows, t.cols}, bytes));
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
