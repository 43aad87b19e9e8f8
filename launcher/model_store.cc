#include "launcher/model_store.h"

#include <nlohmann/json.hpp>

#include <bit>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/hash.h"
#include "base/partition.h"

namespace trestle {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "files are little endian");

constexpr int kFormat = 1;
constexpr size_t kFlushBytes = size_t{4} << 20;
constexpr Operation kSaving{Stream::kControl, "saving the model", -1, kLongPhaseLimit};
constexpr Operation kLoading{Stream::kControl, "loading the model", -1, kLongPhaseLimit};
constexpr Operation kDigest{Stream::kControl, "digest", -1, kLongPhaseLimit};

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016lx", value);
  return text;
}

// Checksum of a file: hashes of its pieces of kFlushBytes, chained, so that it can be streamed.
class Checksum {
 public:
  void Add(std::span<const std::byte> piece) { hash_ = Hash64(piece, hash_); }
  std::string hex() const { return Hex(hash_); }

 private:
  uint64_t hash_ = 0;
};

std::string ChecksumOf(std::string_view text) {
  Checksum sum;
  const auto bytes = std::as_bytes(std::span(text));
  for (size_t at = 0; at < bytes.size(); at += kFlushBytes) {
    sum.Add(bytes.subspan(at, std::min(kFlushBytes, bytes.size() - at)));
  }
  return sum.hex();
}

// Appends in pieces of exactly kFlushBytes (the last may be shorter) and counts.
class FileWriter {
 public:
  static Result<FileWriter> Create(FileSystem& fs, const std::string& folder, std::string name) {
    TRESTLE_ASSIGN_OR_RETURN(auto file, fs.Create(folder + "/" + name));
    return FileWriter(std::move(file), std::move(name));
  }
  Status Write(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const size_t now = std::min(bytes, kFlushBytes - buffer_.size());
      buffer_.append(from, now);
      from += now;
      bytes -= now;
      if (buffer_.size() == kFlushBytes) TRESTLE_RETURN_IF_ERROR(Flush());
    }
    return {};
  }
  // What model.json says of the file.
  Result<Json> Finish() {
    TRESTLE_RETURN_IF_ERROR(Flush());
    TRESTLE_RETURN_IF_ERROR(file_->Sync());
    TRESTLE_RETURN_IF_ERROR(file_->Close());
    return Json{{"name", name_}, {"bytes", bytes_}, {"checksum", sum_.hex()}};
  }

 private:
  FileWriter(std::unique_ptr<WritableFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}
  Status Flush() {
    if (buffer_.empty()) return {};
    const auto piece = std::as_bytes(std::span(buffer_));
    sum_.Add(piece);
    bytes_ += static_cast<int64_t>(piece.size());
    TRESTLE_RETURN_IF_ERROR(file_->Append(piece));
    buffer_.clear();
    return {};
  }
  std::unique_ptr<WritableFile> file_;
  std::string name_;
  std::string buffer_;
  Checksum sum_;
  int64_t bytes_ = 0;
};

struct RowHeader {
  uint64_t key;
  uint64_t occurrences;
  uint64_t samples;
  int64_t last_step;
};

size_t RowBytes(int dim, int state_width) {
  return sizeof(RowHeader) + sizeof(float) * static_cast<size_t>(dim + state_width);
}

std::string ShardName(const std::string& table, int server, int servers) {
  char suffix[40];
  std::snprintf(suffix, sizeof(suffix), "-%05d-of-%05d.rows", server, servers);
  return table + suffix;
}

Result<Json> SaveTable(FileSystem& fs, const std::string& folder, Node& node,
                       const EmbeddingTable& table) {
  TRESTLE_ASSIGN_OR_RETURN(
      FileWriter file,
      FileWriter::Create(fs, folder,
                         ShardName(table.spec().name, node.server_index(), node.server_count())));
  const auto write = [&](const RowView& row) -> Status {
    const RowHeader header{row.key.value, row.occurrences, row.samples, row.last_step};
    TRESTLE_RETURN_IF_ERROR(file.Write(&header, sizeof(header)));
    TRESTLE_RETURN_IF_ERROR(file.Write(row.weights.data(), row.weights.size_bytes()));
    return file.Write(row.state.data(), row.state.size_bytes());
  };
  TRESTLE_RETURN_IF_ERROR(table.ForEachRow(0, kPartitions, write));
  TRESTLE_ASSIGN_OR_RETURN(Json description, file.Finish());
  description["row_bytes"] = RowBytes(table.spec().dim, table.state_width());
  return description;
}

Result<Json> SaveDense(FileSystem& fs, const std::string& folder, DenseBackend& backend) {
  TRESTLE_ASSIGN_OR_RETURN(FileWriter file, FileWriter::Create(fs, folder, "dense.f32"));
  for (const auto& [slice, values] : backend.State()) {
    TRESTLE_RETURN_IF_ERROR(file.Write(values.data(), values.size_bytes()));
  }
  return file.Finish();
}

// The files this rank writes, as a JSON list.
Result<Json> SaveFiles(FileSystem& fs, const std::string& folder, Node& node, DenseBackend* dense) {
  Json files = Json::array();
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  for (const EmbeddingTable* table : node.tables()) {
    TRESTLE_ASSIGN_OR_RETURN(Json file, SaveTable(fs, folder, node, *table));
    files.push_back(std::move(file));
  }
  if (dense) {
    TRESTLE_ASSIGN_OR_RETURN(Json file, SaveDense(fs, folder, *dense));
    files.push_back(std::move(file));
  }
  return files;
}

Json DescribeDense(DenseBackend& backend) {
  Json vectors = Json::array();
  for (const auto& [slice, values] : backend.State()) {
    vectors.push_back({{"name", slice.name}, {"rows", slice.rows}, {"cols", slice.cols}});
  }
  return vectors;
}

Json DescribeStatistics(const std::vector<NumericStatistics>& statistics) {
  Json list = Json::array();
  for (const NumericStatistics& s : statistics) {
    list.push_back(
        {{"count", s.count}, {"mean", s.mean}, {"std", s.std}, {"min", s.min}, {"max", s.max}});
  }
  return list;
}

// model.json ends with the checksum of its own text, taken with zeros in the place of it: a file
// cut or changed anywhere is noticed, also where it would still be good JSON.
constexpr std::string_view kSealBegin = "\"checksum\": \"";
constexpr std::string_view kUnsealed = "0000000000000000";
constexpr std::string_view kSealEnd = "\"\n}\n";

std::string Seal(Json model) {
  model["checksum"] = kUnsealed;
  std::string text = model.dump(1) + "\n";
  const std::string sum = ChecksumOf(text);
  return text.replace(text.size() - kSealEnd.size() - sum.size(), sum.size(), sum);
}

bool SealHolds(std::string text) {
  const size_t tail = kSealBegin.size() + kUnsealed.size() + kSealEnd.size();
  if (text.size() < tail || !text.ends_with(kSealEnd)) return false;
  const size_t at = text.size() - kSealEnd.size() - kUnsealed.size();
  if (text.compare(at - kSealBegin.size(), kSealBegin.size(), kSealBegin) != 0) return false;
  const std::string sum = text.substr(at, kUnsealed.size());
  return ChecksumOf(text.replace(at, kUnsealed.size(), kUnsealed)) == sum;
}

Status Corrupt(const std::string& path, const std::string& what) {
  return {StatusCode::kCorrupt, path + ": " + what};
}

Result<Json> ReadModelJson(FileSystem& fs, const std::string& folder) {
  const std::string path = folder + "/model.json";
  auto text = fs.Read(path);
  if (!text.ok()) {
    return text.status().Wrap("no model in " + folder + " (`trestle train` writes it at its end)");
  }
  Json model = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (model.is_discarded() || !model.is_object()) return Corrupt(path, "not a JSON object");
  for (const char* field :
       {"format", "step", "complete", "digest", "config", "numeric", "dense", "tables", "files"}) {
    if (!model.contains(field)) return Corrupt(path, std::string("has no \"") + field + "\"");
  }
  if (model["format"] != kFormat) {
    return Corrupt(path, "format " + model["format"].dump() + ", this program reads format " +
                             std::to_string(kFormat));
  }
  if (!SealHolds(*text)) return Corrupt(path, "its checksum does not fit: cut or changed");
  return model;
}

// A file's bytes, checked against what model.json says of it.
Result<std::string> ReadChecked(FileSystem& fs, const std::string& folder, const Json& file) {
  const std::string path = folder + "/" + file.at("name").get<std::string>();
  TRESTLE_ASSIGN_OR_RETURN(std::string text, fs.Read(path));
  const auto bytes = file.at("bytes").get<int64_t>();
  if (static_cast<int64_t>(text.size()) != bytes) {
    return Corrupt(
        path, std::to_string(bytes) + " bytes expected, " + std::to_string(text.size()) + " found");
  }
  if (const std::string sum = ChecksumOf(text); sum != file.at("checksum")) {
    return Corrupt(path, "checksum " + file.at("checksum").get<std::string>() + " expected, " +
                             sum + " found");
  }
  return text;
}

Status OtherConfig(const std::string& folder, const std::string& what) {
  return {StatusCode::kInvalidConfig, folder + ": trained with another config: " + what +
                                          "; use the config.textproto of the run that wrote it"};
}

// Whether the model has this table, with keys and rows that mean the same.
Status CheckTable(const std::string& folder, const Json& model, const TableSpec& spec) {
  for (const Json& table : model["tables"]) {
    if (table.at("name") != spec.name) continue;
    if (table.at("dim") != spec.dim) {
      return OtherConfig(folder, "table " + spec.name + " has dim " + table.at("dim").dump() +
                                     " there and " + std::to_string(spec.dim) + " here");
    }
    if (table.at("seed") != Hex(spec.seed)) {  // what hashes its string keys
      return OtherConfig(folder, "table " + spec.name + " has another seed there (train.seed)");
    }
    return {};
  }
  return OtherConfig(folder, "it has no table " + spec.name);
}

// Inserts the rows of this server's partitions.
Status LoadRows(const std::string& path, const std::string& text, Node& node,
                EmbeddingTable& table) {
  const int dim = table.spec().dim;
  const size_t row_bytes = RowBytes(dim, table.state_width());
  if (text.size() % row_bytes != 0)
    return Corrupt(path, "not a whole number of rows of this table");
  std::vector<float> values(static_cast<size_t>(dim + table.state_width()));
  for (size_t at = 0; at < text.size(); at += row_bytes) {
    RowHeader header;
    std::memcpy(&header, text.data() + at, sizeof(header));
    const Key key{header.key};
    if (ShardOf(PartitionOf(key), node.server_count()) != node.server_index()) continue;
    std::memcpy(values.data(), text.data() + at + sizeof(header), values.size() * sizeof(float));
    const std::span<const float> all(values);
    const Status inserted = table.Insert({key, all.first(dim), all.subspan(dim), header.occurrences,
                                          header.samples, header.last_step});
    TRESTLE_RETURN_IF_ERROR(inserted.Wrap(path));
  }
  return {};
}

Status LoadDense(const std::string& path, const std::string& text, DenseBackend& backend) {
  size_t at = 0;
  for (auto& [slice, values] : backend.State()) {
    if (at + values.size_bytes() > text.size()) return Corrupt(path, "too short");
    std::memcpy(values.data(), text.data() + at, values.size_bytes());
    at += values.size_bytes();
  }
  return at == text.size() ? Status() : Corrupt(path, "too long");
}

bool IsShardOf(const std::string& file, const std::string& table) {
  const std::string prefix = table + "-";
  constexpr size_t kSuffix = sizeof("00000-of-00000.rows") - 1;
  return file.size() == prefix.size() + kSuffix && file.starts_with(prefix) &&
         file.ends_with(".rows");
}

Status LoadFiles(FileSystem& fs, const std::string& folder, const Json& model, Node& node,
                 DenseBackend* backend) {
  for (const EmbeddingTable* table : node.tables()) {
    TRESTLE_RETURN_IF_ERROR(CheckTable(folder, model, table->spec()));
  }
  if (backend && model["dense"] != DescribeDense(*backend)) {
    return OtherConfig(folder, "its network has other parameters");
  }
  for (const Json& file : model["files"]) {
    const auto name = file.at("name").get<std::string>();
    const std::string path = folder + "/" + name;
    EmbeddingTable* table = nullptr;
    for (EmbeddingTable* candidate : node.tables()) {
      if (IsShardOf(name, candidate->spec().name)) table = candidate;
    }
    const bool dense = name == "dense.f32" && backend;
    if (!table && !dense) continue;
    if (table && file.at("row_bytes") != RowBytes(table->spec().dim, table->state_width())) {
      return OtherConfig(folder, "table " + table->spec().name + " has another optimizer there");
    }
    TRESTLE_ASSIGN_OR_RETURN(const std::string text, ReadChecked(fs, folder, file));
    if (table) TRESTLE_RETURN_IF_ERROR(LoadRows(path, text, node, *table));
    if (dense) TRESTLE_RETURN_IF_ERROR(LoadDense(path, text, *backend));
  }
  return {};
}

// The library throws where a value has another type than asked for: a damaged model.json.
template <class F>
auto CatchJsonErrors(const std::string& folder, F body) -> decltype(body()) {
  try {
    return body();
  } catch (const Json::exception& error) {
    return Corrupt(folder + "/model.json", error.what());
  }
}

Result<ModelInfo> LoadLocally(FileSystem& fs, const std::string& folder, Node& node,
                              DenseBackend* backend) {
  TRESTLE_ASSIGN_OR_RETURN(const Json model, ReadModelJson(fs, folder));
  TRESTLE_RETURN_IF_ERROR(LoadFiles(fs, folder, model, node, backend));
  ModelInfo info{model["step"], model["complete"], model["config"], {}};
  for (const Json& s : model["numeric"]) {
    info.statistics.push_back({s.at("count"), s.at("mean"), s.at("std"), s.at("min"), s.at("max")});
  }
  return info;
}

}  // namespace

Result<std::string> ModelDigest(Communicator& comm, Node& node, const std::vector<TableSpec>& specs,
                                Rank leader, uint64_t dense_digest) {
  // [table digests..., dense digest]: a sum over shards, and over one dense side.
  std::vector<int64_t> sums(specs.size() + 1, 0);
  const auto tables = node.tables();
  for (size_t t = 0; t < tables.size(); ++t) sums[t] = static_cast<int64_t>(tables[t]->Digest());
  if (comm.rank() == leader) sums.back() = static_cast<int64_t>(dense_digest);
  TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum(kDigest, sums));
  std::string text;
  for (size_t t = 0; t < specs.size(); ++t) {
    text += specs[t].name + "=" + Hex(static_cast<uint64_t>(sums[t])) + ";";
  }
  text += "dense=" + Hex(static_cast<uint64_t>(sums.back()));
  return Hex(Hash64(text));
}

Status SaveModel(Communicator& comm, FileSystem& fs, const std::string& folder, Node& node,
                 const std::vector<TableSpec>& specs, DenseBackend* backend, Rank leader,
                 const ModelInfo& info, const std::string& digest) {
  const bool leads = comm.rank() == leader;
  // An older model in the folder stops being one before its files change.
  Status cleared;
  if (leads && fs.Exists(folder + "/model.json")) cleared = fs.Remove(folder + "/model.json");
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kSaving, cleared));
  auto mine = SaveFiles(fs, folder, node, leads ? backend : nullptr);
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kSaving, mine.status()));
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.Gather(kSaving, mine->dump(), leader));
  Status written;
  if (leads) {
    Json model{{"format", kFormat},
               {"step", info.step},
               {"complete", info.complete},
               {"digest", digest},
               {"config", info.config},
               {"numeric", DescribeStatistics(info.statistics)},
               {"dense", DescribeDense(*backend)},
               {"tables", Json::array()},
               {"files", Json::array()}};
    for (const TableSpec& spec : specs) {
      model["tables"].push_back({{"name", spec.name}, {"dim", spec.dim}, {"seed", Hex(spec.seed)}});
    }
    for (const std::string& files : all) {
      for (Json& file : Json::parse(files)) model["files"].push_back(std::move(file));
    }
    written = WriteFileAtomically(fs, folder + "/model.json", Seal(std::move(model)));
  }
  return AgreeOnStatus(comm, kSaving, written);
}

Result<ModelInfo> LoadModel(Communicator& comm, FileSystem& fs, const std::string& folder,
                            Node& node, DenseBackend* backend) {
  auto info = CatchJsonErrors(folder, [&] { return LoadLocally(fs, folder, node, backend); });
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kLoading, info.status()));
  return info;
}

Result<std::string> StoredDigest(FileSystem& fs, const std::string& folder) {
  return CatchJsonErrors(folder, [&]() -> Result<std::string> {
    TRESTLE_ASSIGN_OR_RETURN(const Json model, ReadModelJson(fs, folder));
    for (const Json& file : model["files"]) {
      TRESTLE_ASSIGN_OR_RETURN(const std::string text, ReadChecked(fs, folder, file));
    }
    return model["digest"].get<std::string>();
  });
}

}  // namespace trestle
