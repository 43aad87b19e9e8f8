// ModelStore: the trained model on disk in a plain form that `eval` reads. (Checkpoints, with
// resume, come in a format of their own; what they need from the tables and the backend is what is
// used here.)
//
//   model/model.json                       what, how large, checksums, digest, effective config
//   model/<table>-00000-of-00003.g2.rows   one file a table and server: rows in the order of
//                                          partitions, each u64 key, u64 occurrences, u64 samples,
//                                          i64 last step, f32 weights[dim], f32 state[state_width];
//                                          little endian
//   model/dense.g2.f32                     the backend's State(), vector after vector, likewise
//
// model.json is replaced last, atomically, and lists the files that are the model: a folder without
// it is no model, and a model that is written over an older one is the older one until then (g2 is
// the generation, never that of a file that is there). Files of older generations are removed
// afterwards. model.json carries the checksum of every file and, last, its own. Collective: Save,
// Load and ModelDigest by all ranks. Errors, agreed on by all ranks: kIoError, kNotFound, kCorrupt
// (file, expected, found), kInvalidConfig for a model of another config.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "base/filesystem.h"
#include "comm/communicator.h"
#include "ps/node.h"
#include "worker/input.h"

namespace trestle {

struct ModelInfo {
  int64_t step = 0;
  bool complete = true;  // false: the run was stopped early
  std::string config;    // canonical text
  std::vector<NumericStatistics> statistics;
};

// The digest of the whole model: of every table by name, and of the dense side. Equal on all ranks.
// `dense_digest` counts on the leader only.
Result<std::string> ModelDigest(Communicator& comm, Node& node, const std::vector<TableSpec>& specs,
                                Rank leader, uint64_t dense_digest);

// `backend` is null on ranks that do not work. The leader (lowest worker) writes model.json.
Status SaveModel(Communicator& comm, FileSystem& fs, const std::string& folder, Node& node,
                 const std::vector<TableSpec>& specs, DenseBackend* backend, Rank leader,
                 const ModelInfo& info, const std::string& digest);

// Loads into an empty node and backend of the same config; at any number of servers.
Result<ModelInfo> LoadModel(Communicator& comm, FileSystem& fs, const std::string& folder,
                            Node& node, DenseBackend* backend);

// What model.json says of the digest, after verifying every file's checksum. One process.
Result<std::string> StoredDigest(FileSystem& fs, const std::string& folder);

}  // namespace trestle
