// Shard file: the rows of one table and server as an Arrow IPC file that any Arrow reader opens.
// Columns: key uint64, weights fixed_size_list<float>[dim], one fixed_size_list (or float, of width
// one) for each optimizer slot, occurrences uint64, samples uint64, last_step int64. Rows are
// ordered by (partition, mixed key), in record batches of about 4 MiB. The footer's metadata holds
// an index: offset, size, rows, partitions and hash of every batch. So a loader reads and verifies
// only the batches of partitions that it owns. docs/checkpoint-format.md.
//
// Thread safety: different files concurrently. Errors: kIoError; kCorrupt names file, what was
// expected, what was found. Whatever is handed to `visit` was verified before.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "embedding/table.h"
#include "ps/checkpoint/manifest.pb.h"

namespace trestle {

// Calls its argument with each row, ordered by (partition, mixed key).
using RowSource = std::function<Status(const std::function<Status(const RowView&)>& visit)>;

// "embedding/<table>-00003-of-00008.arrow"
std::string ShardFileName(const std::string& table, int server, int servers);

struct ShardFileSpec {
  std::string folder;  // the checkpoint's; its "embedding" folder exists
  std::string table;
  int dim = 0;
  int state_width = 0;
  std::string optimizer;  // names the slots' columns
  int server = 0, servers = 1;
  int64_t batch_bytes = 4 << 20;  // of a record batch's rows, at most
};

// Streams, hashes, syncs the file (not the folder). kInternal for rows that are out of order, of
// another server's partitions or of other widths.
Result<FileEntry> WriteShardFile(FileSystem& fs, const ShardFileSpec& spec, const RowSource& rows);

// Gets rows, some thousands at a time. They are good for the call.
using RowsVisitor = std::function<Status(std::span<const RowView>)>;

// Visits the rows of partitions [begin, end), batch by batch; the next batch is read and verified
// on another thread meanwhile. `entry` is the manifest's; dim and state_width are the table's:
// kInvalidConfig if the file has others.
Status ReadShardFile(FileSystem& fs, const std::string& folder, const FileEntry& entry, int dim,
                     int state_width, uint32_t begin_partition, uint32_t end_partition,
                     const RowsVisitor& visit);

}  // namespace trestle
