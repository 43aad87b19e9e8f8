// Topology: who serves, who works, and what a step consists of; the part of NodeOptions that every
// piece of the exchange reads. Immutable after MakeNode.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fixed_point.h"
#include "base/types.h"
#include "ps/client.h"

namespace trestle {

struct Topology {
  Rank rank;
  int ranks = 1;
  std::vector<Rank> servers;
  std::vector<Rank> workers;
  std::vector<int> server_of;  // [ranks] index among the servers, -1 if it is none
  std::vector<int> worker_of;  // [ranks] likewise

  std::vector<int> dims;                      // [tables]
  std::vector<int> slot_tables;               // [slots]
  std::vector<std::vector<int>> table_slots;  // [tables] slots of the table, ascending
  std::vector<int> slot_position;             // [slots] where it is in table_slots of its table
  FixedUnit unit;
  std::vector<std::string> table_names;  // [tables]
  bool fail_bad_steps = false;           // see NodeOptions
  std::function<CheckpointVotes()> checkpoint_votes;
  std::function<bool()> stop_requested;

  size_t tables() const { return dims.size(); }
  int server_index() const { return server_of[static_cast<size_t>(rank.value)]; }
  int worker_index() const { return worker_of[static_cast<size_t>(rank.value)]; }
  bool is_server() const { return server_index() >= 0; }
  bool is_worker() const { return worker_index() >= 0; }
  bool alone() const { return ranks == 1; }
};

}  // namespace trestle
