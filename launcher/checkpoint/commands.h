// What the `trestle checkpoint` commands do, without the command line: each prints what it found to
// `out`. A path means what launcher/checkpoint/find.h says.
//
// Thread safety: one thread. Collective: none; they read what a run has finished writing, also
// while it goes on. Memory: a block of rows (row_block.h) of each checkpoint, and the dense
// tensors. Errors: kNotFound; kCorrupt names file, expected, found; kIoError; kInvalidConfig for
// what was asked.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"

namespace trestle {

// A line for each checkpoint of the folder, newest first; with `json` an array of objects. One
// whose manifest cannot be read is listed with the error.
Status ListCommand(FileSystem& fs, const std::string& path, bool json, std::ostream& out);

enum class ShowWhat { kFacts, kConfig, kManifest };
// Reads the manifest alone.
Status ShowCommand(FileSystem& fs, const std::string& path, ShowWhat what, std::ostream& out);

// Reads every byte. All complete checkpoints of the folder with `all`; the status then has a line
// for each bad one.
Status VerifyCommand(FileSystem& fs, const std::string& path, bool all, std::ostream& out);

// Verifies, then prints the 16 digits.
Status DigestCommand(FileSystem& fs, const std::string& path, std::ostream& out);

// What differs between two checkpoints: rows of tables, dense tensors, cursor, lines of config.
// Whether all but the config are equal, bit for bit.
Result<bool> DiffCommand(FileSystem& fs, const std::string& a, const std::string& b,
                         std::ostream& out);

struct ExportRequest {
  std::string format;               // parquet, npy, safetensors
  std::string output;               // a folder, created if need be
  std::vector<std::string> tables;  // empty: all, and for safetensors the dense tensors too
  bool force = false;               // overwrite files
};
Status ExportCommand(FileSystem& fs, const std::string& path, const ExportRequest& request,
                     std::ostream& out);

// Writes the full checkpoint that a delta and its base make together to `output`/<its name>.
//
// Not into the run's folder: a new name there would need an attempt of its own, and since order is
// by (attempt, step), an old delta that was compacted would count as newer than all that the
// running attempt writes after it; its own name is taken there, and is never used twice. Under
// another folder it keeps its name, and so its place in time, and a run that goes on beside it
// never sees it. Errors: kInvalidConfig if it is full already, or the name is taken in `output`;
// kCorrupt if what was written does not have the delta's digest (it is removed again).
Status CompactCommand(FileSystem& fs, const std::string& path, const std::string& output,
                      std::ostream& out);

}  // namespace trestle
