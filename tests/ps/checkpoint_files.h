// Small checkpoints for tests: a model of random rows that a test keeps beside what it writes,
// written as full checkpoints and as deltas through the same functions that training uses.
//
// Thread safety: none needed. Ownership: values. Errors: Status of what writes.
#pragma once

#include <bit>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/hash.h"
#include "base/partition.h"
#include "base/status.h"
#include "embedding/table.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/dense_file.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/shard_file.h"

namespace trestle {

struct PlainRow {
  uint64_t key = 0;
  std::vector<float> weights, state;
  uint64_t occurrences = 0, samples = 0;
  int64_t last_step = 0;

  RowView View() const { return {Key{key}, weights, state, occurrences, samples, last_step}; }
  static PlainRow Of(const RowView& row) {
    return {row.key.value,
            {row.weights.begin(), row.weights.end()},
            {row.state.begin(), row.state.end()},
            row.occurrences,
            row.samples,
            row.last_step};
  }
  // Bit for bit: NaNs are equal to themselves.
  friend bool operator==(const PlainRow& a, const PlainRow& b) {
    const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
      return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](float p, float q) {
        return std::bit_cast<uint32_t>(p) == std::bit_cast<uint32_t>(q);
      });
    };
    return a.key == b.key && same(a.weights, b.weights) && same(a.state, b.state) &&
           a.occurrences == b.occurrences && a.samples == b.samples && a.last_step == b.last_step;
  }
};

// A table's rows by mixed key: the order of files.
using PlainRows = std::map<uint64_t, PlainRow>;

struct PlainTable {
  std::string name;
  int dim = 0;
  std::string optimizer;  // as configs name it
  PlainRows rows;

  int state_width() const {
    if (optimizer == "sgd") return 0;
    return optimizer == "rowwise_adagrad"
               ? 1
               : dim * (optimizer == "adam" || optimizer == "ftrl" ? 2 : 1);
  }
  uint64_t Digest() const {
    uint64_t sum = 0;
    for (const auto& [mixed, row] : rows) sum += HashRow(row.View());
    return sum;
  }
};

struct PlainCheckpoint {
  std::vector<PlainTable> tables;
  std::vector<NamedTensor> dense;
};

// A row of any bits: NaNs with payloads, infinities, counters up to their limits.
inline PlainRow RandomRow(std::mt19937_64& random, const PlainTable& table, int64_t step) {
  const auto floats = [&](int count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    return values;
  };
  return {random() >> (random() % 64), floats(table.dim),
          floats(table.state_width()), random(),
          random() >> (random() % 64), step};
}

// Puts `count` random rows into the table, over those with the same keys.
inline void AddRandomRows(std::mt19937_64& random, PlainTable* table, int count, int64_t step) {
  for (int i = 0; i < count; ++i) {
    PlainRow row = RandomRow(random, *table, step);
    table->rows[Mix64(row.key)] = row;
  }
}

// Changes `count` of the table's rows.
inline void ChangeRandomRows(std::mt19937_64& random, PlainTable* table, int count, int64_t step) {
  for (int i = 0; i < count && !table->rows.empty(); ++i) {
    auto it = table->rows.lower_bound(random());
    if (it == table->rows.end()) it = table->rows.begin();
    const uint64_t key = it->second.key;
    it->second = RandomRow(random, *table, step);
    it->second.key = key;
  }
}

inline PlainCheckpoint RandomCheckpoint(std::mt19937_64& random, int rows_per_table) {
  PlainCheckpoint checkpoint;
  checkpoint.tables = {{"item", 4, "adagrad", {}},
                       {"brand", 3, "adam", {}},
                       {"cate", 1, "rowwise_adagrad", {}},
                       {"user", 5, "sgd", {}}};
  for (PlainTable& table : checkpoint.tables) AddRandomRows(random, &table, rows_per_table, 1);
  for (const char* name : {"mlp.0.weight", "mlp.0.bias"}) {
    NamedTensor tensor{name, 1 + static_cast<int>(random() % 3), 2, {}};
    for (int i = 0; i < tensor.rows * tensor.cols; ++i) {
      tensor.values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
    }
    checkpoint.dense.push_back(tensor);
  }
  return checkpoint;
}

struct WriteOptions {
  CheckpointName name{1, 1};
  int servers = 2;
  int64_t batch_bytes = 4 << 20;
  int64_t number = 1;
  std::string base = {};  // a delta: rows whose last step is after base_step
  int64_t base_step = 0;
};

// Writes the rows of one table and server. `server` of options.servers.
inline Result<FileEntry> WritePlainShard(FileSystem& fs, const std::string& path,
                                         const PlainTable& table, int server,
                                         const WriteOptions& options) {
  const ShardFileSpec spec{.folder = path,
                           .table = table.name,
                           .dim = table.dim,
                           .state_width = table.state_width(),
                           .optimizer = table.optimizer,
                           .server = server,
                           .servers = options.servers,
                           .batch_bytes = options.batch_bytes};
  return WriteShardFile(fs, spec, [&](const std::function<Status(const RowView&)>& visit) {
    for (const auto& [mixed, row] : table.rows) {
      if (ShardOf(PartitionOf(Key{row.key}), options.servers) != server) continue;
      if (!options.base.empty() && row.last_step <= options.base_step) continue;
      TRESTLE_RETURN_IF_ERROR(visit(row.View()));
    }
    return Status();
  });
}

// Everything of a manifest but the files.
inline Manifest DescribePlain(const PlainCheckpoint& checkpoint, const WriteOptions& options) {
  Manifest manifest;
  manifest.set_format(kCheckpointFormat);
  manifest.set_program("trestle test");
  manifest.set_name(options.name.ToString());
  manifest.set_attempt(options.name.attempt);
  manifest.set_number(options.number);
  manifest.mutable_cursor()->set_step(options.name.step);
  manifest.set_base(options.base);
  manifest.set_base_step(options.base_step);
  for (const PlainTable& table : checkpoint.tables) {
    TableEntry& entry = *manifest.add_tables();
    entry.set_name(table.name);
    entry.set_dim(table.dim);
    entry.set_state_width(table.state_width());
    entry.set_optimizer(table.optimizer);
    entry.set_rows(static_cast<int64_t>(table.rows.size()));
    entry.set_digest(table.Digest());
  }
  for (const NamedTensor& tensor : checkpoint.dense) {
    TensorEntry& entry = *manifest.add_dense();
    entry.set_name(tensor.name);
    entry.set_rows(tensor.rows);
    entry.set_cols(tensor.cols);
    manifest.set_dense_digest(
        Hash64(std::as_bytes(std::span(tensor.values)), manifest.dense_digest()));
  }
  manifest.set_digest(ModelDigest(manifest));
  return manifest;
}

// Writes a whole checkpoint into `folder`; returns its path.
inline Result<std::string> WritePlainCheckpoint(FileSystem& fs, const std::string& folder,
                                                const PlainCheckpoint& checkpoint,
                                                const WriteOptions& options) {
  const std::string path = folder + "/" + options.name.ToString();
  Manifest manifest = DescribePlain(checkpoint, options);
  if (!options.base.empty()) {
    TRESTLE_ASSIGN_OR_RETURN(*manifest.mutable_base_xxh3_128(),
                             ManifestHash(fs, folder + "/" + options.base));
  }
  TRESTLE_RETURN_IF_ERROR(fs.MakeDirectories(path + "/embedding"));
  for (const PlainTable& table : checkpoint.tables) {
    for (int server = 0; server < options.servers; ++server) {
      TRESTLE_ASSIGN_OR_RETURN(*manifest.add_files(),
                               WritePlainShard(fs, path, table, server, options));
    }
  }
  TRESTLE_ASSIGN_OR_RETURN(*manifest.add_files(), WriteDenseFile(fs, path, checkpoint.dense));
  for (const std::string& changed : {path + "/embedding", path, folder}) {
    TRESTLE_RETURN_IF_ERROR(fs.SyncDirectory(changed));
  }
  TRESTLE_RETURN_IF_ERROR(WriteManifest(fs, path, manifest));
  return path;
}

}  // namespace trestle
