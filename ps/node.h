// Node: a rank's part in the parameter server. It holds the rank's shard of every table (if it is a
// server) and gives its worker a Client (if it is a worker). Role assignment is here too.
//
// Collective: MakeNode and Serve by all ranks that they name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fixed_point.h"
#include "base/thread_pool.h"
#include "comm/communicator.h"
#include "embedding/table.h"
#include "ps/client.h"

namespace trestle {

// Which ranks serve and which work, in ascending order. Colocated: all ranks in both.
struct Roles {
  std::vector<Rank> servers;
  std::vector<Rank> workers;
};

// `servers` dedicated servers spread evenly over the nodes (hosts[r] is rank r's), 0: colocated.
// kInvalidConfig if no worker would be left.
Result<Roles> AssignRoles(int servers, const std::vector<std::string>& hosts);

// Makes a server's shard of a table. MakeCpuTable unless a device or a test brings its own.
using TableFactory =
    std::function<Result<std::unique_ptr<EmbeddingTable>>(TableSpec spec, ThreadPool* pool)>;

struct NodeOptions {
  Roles roles;
  std::vector<TableSpec> tables;
  std::vector<int> slot_tables;  // the table of each slot
  FixedUnit unit;                // of lane sums
  // A step whose gradients the client finds bad fails on all ranks (kNumeric) instead of changing
  // nothing and being reported by PushOutcome.
  bool fail_bad_steps = false;
  TableFactory make_table = MakeCpuTable;
  // This rank's votes, polled by its keys thread for every header; empty: none.
  std::function<CheckpointVotes()> checkpoint_votes = nullptr;
  // Whether a dedicated server was asked to stop, polled likewise; it asks the workers with the
  // next header. (A worker says it in its own, StepHeader.) Empty: never.
  std::function<bool()> stop_requested = nullptr;
  // Called by a dedicated server's Serve after each training step and at kCheckpoint, when no row
  // changes any more until it returns. (A worker's trainer has one of its own,
  // TrainerOptions::at_boundary.)
  std::function<Status(const AgreedHeader&)> at_boundary = nullptr;
};

class Node {
 public:
  virtual ~Node() = default;
  virtual bool is_server() const = 0;
  virtual bool is_worker() const = 0;
  virtual Client& client() = 0;  // CHECKs is_worker
  // This rank's shards, in the order of NodeOptions::tables; empty unless it is a server.
  virtual std::vector<EmbeddingTable*> tables() = 0;
  // Index of this rank among the servers (-1 if none) and their number.
  virtual int server_index() const = 0;
  virtual int server_count() const = 0;
  // The part of a dedicated server: takes part in every step until the workers say kStop.
  virtual Status Serve() = 0;
};

// Sets the members of stream kDense to the workers. `pool` is borrowed.
Result<std::unique_ptr<Node>> MakeNode(Communicator& comm, NodeOptions options, ThreadPool* pool);

}  // namespace trestle
