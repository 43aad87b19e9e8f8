// The formats that `trestle checkpoint export` writes. What is read is verified on the way, and
// counted: a file holds as many rows as the manifest says, or is not there. Rows are in the order
// of (partition, mixed key): the same file for the same model, however it was sharded.
//
// Thread safety: pure functions of the filesystem. Memory: a block of rows (row_block.h).
// Errors: kIoError; kCorrupt.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/checkpoint/row_block.h"
#include "ps/checkpoint/checkpoint_reader.h"

namespace trestle {

// Visits all rows, block after block; kCorrupt unless they are as many as in the manifest.
Status ForAllBlocks(const CheckpointReader& reader, const TableEntry& table,
                    const std::function<Status(const RowBlock&)>& visit);

// Columns: key uint64, weights list<float>, occurrences uint64, samples uint64, last_step int64.
Status ExportParquet(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
                     const std::string& path);

// For numpy.load: `keys_path` holds uint64 [rows], `weights_path` float32 [rows, dim].
Status ExportNpy(FileSystem& fs, const CheckpointReader& reader, const TableEntry& table,
                 const std::string& keys_path, const std::string& weights_path);

// For safetensors.load_file: "embedding.<table>.keys" U64 [rows], "embedding.<table>.weights" F32
// [rows, dim] and, with `dense`, the dense tensors by their own names. Reads each table twice, as a
// tensor must be in one piece.
Status ExportSafetensors(FileSystem& fs, const CheckpointReader& reader,
                         const std::vector<TableEntry>& tables, bool dense,
                         const std::string& path);

}  // namespace trestle
