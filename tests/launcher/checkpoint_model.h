// A small model whose every value a test knows, and checkpoints of it, full or delta.
//
// Thread safety: plain values. Errors: what writing says, which tests expect to be OK.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/partition.h"
#include "embedding/table.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/dense_file.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/shard_file.h"

namespace trestle {

struct ModelRow {
  std::vector<float> weights, state;
  uint64_t occurrences = 0, samples = 0;
  int64_t last_step = 0;

  RowView View(uint64_t key) const {
    return {Key{key}, weights, state, occurrences, samples, last_step};
  }
};

struct ModelTable {
  std::string name;
  int dim = 0;
  std::map<uint64_t, ModelRow> rows;  // by key

  uint64_t Digest() const {
    uint64_t digest = 0;
    for (const auto& [key, row] : rows) digest += HashRow(row.View(key));
    return digest;
  }
};

struct CheckpointModel {
  std::vector<ModelTable> tables;
  std::vector<NamedTensor> dense;
  Cursor cursor;
  std::string config;
};

// Tables "item" (dim 4, 300 rows) and "user" (dim 2, 50 rows), with Adagrad: state of the width of
// the weights. Row k was pushed to last in step 1 + k % `step`.
inline CheckpointModel SmallModel(int64_t step) {
  CheckpointModel model;
  const auto add = [&](const std::string& name, int dim, uint64_t rows) {
    ModelTable table{name, dim, {}};
    for (uint64_t k = 0; k < rows; ++k) {
      ModelRow row;
      for (int d = 0; d < dim; ++d) {
        row.weights.push_back(static_cast<float>(k) + 0.25f * static_cast<float>(d));
        row.state.push_back(0.5f + static_cast<float>(k));
      }
      row.occurrences = 2 * k + 1;
      row.samples = k + 1;
      row.last_step = 1 + static_cast<int64_t>(k) % step;
      table.rows[k * 1'000'003] = row;
    }
    model.tables.push_back(std::move(table));
  };
  add("item", 4, 300);
  add("user", 2, 50);
  model.dense = {{"mlp.0.weight", 2, 3, {0, 1, 2, 3, 4, 5}}, {"mlp.0.bias", 1, 3, {6, 7, 8}}};
  model.cursor.set_step(step);
  model.cursor.set_epoch(1);
  model.cursor.set_epoch_step(step / 2);
  model.config = "data {\n  train: \"d.parquet\"\n}\ntables {\n  name: \"item\"\n  dim: 4\n}\n";
  return model;
}

// Rows that were pushed to after `since`, of server `s` of `n`, by mixed key.
inline RowSource RowsOfServer(const ModelTable& table, int s, int n, int64_t since) {
  return [&table, s, n, since](const std::function<Status(const RowView&)>& visit) -> Status {
    std::map<uint64_t, uint64_t> keys;
    for (const auto& [key, row] : table.rows) {
      if (row.last_step > since && ShardOf(PartitionOf(Key{key}), n) == s) keys[Mix64(key)] = key;
    }
    for (const auto& [mixed, key] : keys) {
      TRESTLE_RETURN_IF_ERROR(visit(table.rows.at(key).View(key)));
    }
    return {};
  };
}

inline Manifest ManifestOf(const CheckpointModel& model, const CheckpointName& name, int servers) {
  Manifest m;
  m.set_format(kCheckpointFormat);
  m.set_program("trestle test");
  m.set_name(name.ToString());
  m.set_attempt(name.attempt);
  m.set_number(name.step / 10);
  *m.mutable_cursor() = model.cursor;
  m.set_config(model.config);
  m.mutable_run()->set_workers(2);
  m.mutable_run()->set_servers(servers);
  m.mutable_run()->set_lanes(4);
  for (const ModelTable& table : model.tables) {
    TableEntry* entry = m.add_tables();
    entry->set_name(table.name);
    entry->set_dim(table.dim);
    entry->set_state_width(table.dim);
    entry->set_optimizer("adagrad");
    entry->set_rows(static_cast<int64_t>(table.rows.size()));
    entry->set_digest(table.Digest());
  }
  for (const NamedTensor& tensor : model.dense) {
    TensorEntry* entry = m.add_dense();
    entry->set_name(tensor.name);
    entry->set_rows(tensor.rows);
    entry->set_cols(tensor.cols);
    for (float value : tensor.values) m.set_dense_digest(m.dense_digest() * 31 + value);
  }
  m.set_digest(ModelDigest(m));
  return m;
}

// Writes `model` to `folder`/<name>, as a delta if a base is given. Returns its path.
inline std::string WriteCheckpoint(FileSystem& fs, const std::string& folder,
                                   const CheckpointModel& model, const CheckpointName& name,
                                   int servers, const CheckpointName* base = nullptr) {
  const std::string path = folder + "/" + name.ToString();
  EXPECT_TRUE(fs.MakeDirectories(path + "/embedding").ok());
  Manifest m = ManifestOf(model, name, servers);
  for (const ModelTable& table : model.tables) {
    for (int s = 0; s < servers; ++s) {
      const ShardFileSpec spec{path, table.name, table.dim, table.dim, "adagrad", s, servers};
      const int64_t since = base ? base->step : -1;
      auto entry = WriteShardFile(fs, spec, RowsOfServer(table, s, servers, since));
      EXPECT_TRUE(entry.ok()) << entry.status().ToString();
      if (entry.ok()) *m.add_files() = *entry;
    }
  }
  auto dense = WriteDenseFile(fs, path, model.dense);
  EXPECT_TRUE(dense.ok()) << dense.status().ToString();
  if (dense.ok()) *m.add_files() = *dense;
  if (base) {
    m.set_base(base->ToString());
    m.set_base_step(base->step);
    Hasher128 hasher;
    const auto text = fs.Read(folder + "/" + base->ToString() + "/" + kManifestName);
    EXPECT_TRUE(text.ok());
    if (text.ok()) hasher.Update(std::as_bytes(std::span(*text)));
    m.set_base_xxh3_128(hasher.Hex());
  }
  const Status written = WriteManifest(fs, path, m);
  EXPECT_TRUE(written.ok()) << written.ToString();
  return path;
}

}  // namespace trestle
