#include "launcher/model_store.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "base/hash.h"
#include "base/partition.h"
#include "launcher/model_file.h"

namespace trestle {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "files are little endian");

constexpr int kFormat = 1;
constexpr Operation kSaving{Stream::kControl, "saving the model", -1, kLongPhase};
constexpr Operation kLoading{Stream::kControl, "loading the model", -1, kLongPhase};

std::string Hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016lx", value);
  return text;
}

struct RowHeader {
  uint64_t key;
  uint64_t occurrences;
  uint64_t samples;
  int64_t last_step;
};

size_t RowBytes(int dim, int state_width) {
  return sizeof(RowHeader) + sizeof(float) * static_cast<size_t>(dim + state_width);
}

std::string ShardName(const std::string& table, int server, int servers, int64_t generation) {
  char suffix[64];
  std::snprintf(suffix, sizeof(suffix), "-%05d-of-%05d.g%ld.rows", server, servers, generation);
  return table + suffix;
}

Json DescribeFile(const std::string& name, const FileFacts& facts) {
  return {{"name", name}, {"bytes", facts.bytes}, {"checksum", facts.checksum}};
}

Result<Json> SaveTable(FileSystem& fs, const std::string& folder, Node& node,
                       const EmbeddingTable& table, int64_t generation) {
  const std::string name =
      ShardName(table.spec().name, node.server_index(), node.server_count(), generation);
  TRESTLE_ASSIGN_OR_RETURN(auto file, ModelFileWriter::Create(fs, folder + "/" + name));
  const auto write = [&](const RowView& row) -> Status {
    const RowHeader header{row.key.value, row.occurrences, row.samples, row.last_step};
    TRESTLE_RETURN_IF_ERROR(file.Write(&header, sizeof(header)));
    TRESTLE_RETURN_IF_ERROR(file.Write(row.weights.data(), row.weights.size_bytes()));
    return file.Write(row.state.data(), row.state.size_bytes());
  };
  TRESTLE_RETURN_IF_ERROR(table.ForEachRow(0, kPartitions, write));
  TRESTLE_ASSIGN_OR_RETURN(const FileFacts facts, file.Finish());
  Json description = DescribeFile(name, facts);
  description["table"] = table.spec().name;
  description["row_bytes"] = RowBytes(table.spec().dim, table.state_width());
  description["partitions"] = {ShardBegin(node.server_index(), node.server_count()),
                               ShardBegin(node.server_index() + 1, node.server_count())};
  return description;
}

Result<Json> SaveDense(FileSystem& fs, const std::string& folder, DenseBackend& backend,
                       int64_t generation) {
  const std::string name = "dense.g" + std::to_string(generation) + ".f32";
  TRESTLE_ASSIGN_OR_RETURN(auto file, ModelFileWriter::Create(fs, folder + "/" + name));
  for (const auto& [slice, values] : backend.State()) {
    TRESTLE_RETURN_IF_ERROR(file.Write(values.data(), values.size_bytes()));
  }
  TRESTLE_ASSIGN_OR_RETURN(const FileFacts facts, file.Finish());
  return DescribeFile(name, facts);
}

// The files this rank writes, as a JSON list.
Result<Json> SaveFiles(FileSystem& fs, const std::string& folder, Node& node, DenseBackend* dense,
                       int64_t generation) {
  Json files = Json::array();
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(folder));
  for (const EmbeddingTable* table : node.tables()) {
    TRESTLE_ASSIGN_OR_RETURN(Json file, SaveTable(fs, folder, node, *table, generation));
    files.push_back(std::move(file));
  }
  if (dense) {
    TRESTLE_ASSIGN_OR_RETURN(Json file, SaveDense(fs, folder, *dense, generation));
    files.push_back(std::move(file));
  }
  return files;
}

// The generation in a file's name, "item-00000-of-00001.g2.rows"; 0 for other files.
int64_t GenerationOf(const std::string& name) {
  if (!name.ends_with(".rows") && !name.ends_with(".f32")) return 0;
  const size_t end = name.rfind('.');
  const size_t begin = name.rfind(".g", end - 1);
  if (begin == std::string::npos) return 0;
  int64_t generation = 0;
  std::from_chars(name.data() + begin + 2, name.data() + end, generation);
  return generation;
}

// One more than that of any file in the folder. The leader's, on all ranks.
Result<int64_t> NextGeneration(Communicator& comm, FileSystem& fs, const std::string& folder,
                               bool leads) {
  int64_t generation = 0;
  Status listed;
  if (leads) {
    listed = fs.MakeDirectories(folder);
    auto names = listed.ok() ? fs.List(folder) : Result<std::vector<std::string>>(listed);
    listed = names.status();
    if (names.ok()) {
      for (const std::string& name : *names) {
        generation = std::max(generation, GenerationOf(name));
      }
      ++generation;
    }
  }
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kSaving, listed));
  TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum(kSaving, std::span(&generation, 1)));
  return generation;
}

Status RemoveOlder(FileSystem& fs, const std::string& folder, int64_t generation) {
  TRESTLE_ASSIGN_OR_RETURN(const auto names, fs.List(folder));
  for (const std::string& name : names) {
    const int64_t of_file = GenerationOf(name);
    if (of_file == 0 || of_file >= generation) continue;
    TRESTLE_RETURN_IF_ERROR(
        fs.Remove(folder + "/" + name).Wrap("the model is saved, but an older file stays"));
  }
  return {};
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

FileFacts FactsOf(const Json& file) {
  return {file.at("bytes").get<int64_t>(), file.at("checksum").get<std::string>()};
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

// Takes a file's pieces and inserts the rows of this server's partitions.
class RowLoader {
 public:
  RowLoader(std::string path, const Node& node, EmbeddingTable* table)
      : path_(std::move(path)),
        node_(node),
        table_(table),
        values_(static_cast<size_t>(table->spec().dim + table->state_width())),
        row_bytes_(RowBytes(table->spec().dim, table->state_width())) {}

  Status Take(std::string_view piece) {
    carry_.append(piece);
    size_t at = 0;
    for (; at + row_bytes_ <= carry_.size(); at += row_bytes_) {
      TRESTLE_RETURN_IF_ERROR(Insert(carry_.data() + at).Wrap(path_));
    }
    carry_.erase(0, at);
    return {};
  }
  Status Finish() const {
    return carry_.empty() ? Status() : Corrupt(path_, "not a whole number of rows of this table");
  }

 private:
  Status Insert(const char* row) {
    RowHeader header;
    std::memcpy(&header, row, sizeof(header));
    const Key key{header.key};
    if (ShardOf(PartitionOf(key), node_.server_count()) != node_.server_index()) return {};
    std::memcpy(values_.data(), row + sizeof(header), values_.size() * sizeof(float));
    const std::span<const float> all(values_);
    const auto dim = static_cast<size_t>(table_->spec().dim);
    return table_->Insert({key, all.first(dim), all.subspan(dim), header.occurrences,
                           header.samples, header.last_step});
  }

  const std::string path_;
  const Node& node_;
  EmbeddingTable* const table_;
  std::vector<float> values_;
  const size_t row_bytes_;
  std::string carry_;  // the beginning of a row whose end is in the next piece
};

// Whether a file holds rows of partitions that this server owns.
bool Concerns(const Node& node, const Json& file) {
  const auto begin = file.at("partitions").at(0).get<uint32_t>();
  const auto end = file.at("partitions").at(1).get<uint32_t>();
  return begin < ShardBegin(node.server_index() + 1, node.server_count()) &&
         end > ShardBegin(node.server_index(), node.server_count());
}

Status LoadTable(FileSystem& fs, const std::string& folder, const Json& model, Node& node,
                 EmbeddingTable* table) {
  for (const Json& file : model["files"]) {
    if (!file.contains("table") || file["table"] != table->spec().name) continue;
    if (file.at("row_bytes") != RowBytes(table->spec().dim, table->state_width())) {
      return OtherConfig(folder, "table " + table->spec().name + " has another optimizer there");
    }
    if (!Concerns(node, file)) continue;
    const std::string path = folder + "/" + file.at("name").get<std::string>();
    RowLoader loader(path, node, table);
    TRESTLE_RETURN_IF_ERROR(ReadModelFile(
        fs, path, FactsOf(file), [&](std::string_view piece) { return loader.Take(piece); }));
    TRESTLE_RETURN_IF_ERROR(loader.Finish());
  }
  return {};
}

Status LoadDense(FileSystem& fs, const std::string& folder, const Json& model,
                 DenseBackend& backend) {
  for (const Json& file : model["files"]) {
    if (file.contains("table")) continue;
    const std::string path = folder + "/" + file.at("name").get<std::string>();
    std::string text;
    TRESTLE_RETURN_IF_ERROR(ReadModelFile(fs, path, FactsOf(file), [&](std::string_view piece) {
      text.append(piece);
      return Status();
    }));
    size_t at = 0;
    for (auto& [slice, values] : backend.State()) {
      if (at + values.size_bytes() > text.size()) return Corrupt(path, "too short");
      std::memcpy(values.data(), text.data() + at, values.size_bytes());
      at += values.size_bytes();
    }
    return at == text.size() ? Status() : Corrupt(path, "too long");
  }
  return Corrupt(folder + "/model.json", "lists no file of the network");
}

Status LoadFiles(FileSystem& fs, const std::string& folder, const Json& model, Node& node,
                 DenseBackend* backend) {
  for (const EmbeddingTable* table : node.tables()) {
    TRESTLE_RETURN_IF_ERROR(CheckTable(folder, model, table->spec()));
  }
  if (backend && model["dense"] != DescribeDense(*backend)) {
    return OtherConfig(folder, "its network has other parameters");
  }
  for (EmbeddingTable* table : node.tables()) {
    TRESTLE_RETURN_IF_ERROR(LoadTable(fs, folder, model, node, table));
  }
  return backend ? LoadDense(fs, folder, model, *backend) : Status();
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
  TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum({Stream::kControl, "digest", -1, kLongPhase}, sums));
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
  TRESTLE_ASSIGN_OR_RETURN(const int64_t generation, NextGeneration(comm, fs, folder, leads));
  auto mine = SaveFiles(fs, folder, node, leads ? backend : nullptr, generation);
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
    if (written.ok()) written = RemoveOlder(fs, folder, generation);
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
      const std::string path = folder + "/" + file.at("name").get<std::string>();
      TRESTLE_RETURN_IF_ERROR(
          ReadModelFile(fs, path, FactsOf(file), [](std::string_view) { return Status(); }));
    }
    return model["digest"].get<std::string>();
  });
}

}  // namespace trestle
