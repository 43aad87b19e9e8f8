// Restore: from a checkpoint into empty tables and a fresh network, at any number of servers. Each
// server reads and verifies the batches of the partitions that it owns; the dense side is read by
// every worker.
//
// Thread safety: the main thread, before the first step. Collective: none; the ranks agree on the
// outcome. Errors: those of CheckpointReader. After one, tables may hold part of the rows: make new
// ones.
#pragma once

#include <functional>
#include <string>

#include "backend/bridge.h"
#include "base/status.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/node.h"

namespace trestle {

// Rows of this server's partitions, of every table of the node for which `wanted` says so.
Status RestoreTables(const CheckpointReader& checkpoint,
                     const std::function<bool(const std::string& table)>& wanted, Node* node);

// Every vector of the backend's state. With `may_lack`, those that the checkpoint has not stay as
// they are.
Status RestoreDense(const CheckpointReader& checkpoint, bool may_lack, DenseBackend* backend);

}  // namespace trestle
