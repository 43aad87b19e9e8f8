// Startup: what ranks must have in common before the first step, and how they find out that they
// don't. Collective: all functions, over all ranks of the communicator. Thread safety: one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "comm/communicator.h"

namespace trestle {

// A fact by name: {"config", "9f31..."}, {"oneDNN", "2.6.3"}, {"train files", "81a0..."}.
using Facts = std::vector<std::pair<std::string, std::string>>;

// kMismatch on every rank if any fact differs: names the fact, what one rank has and what another.
// Every rank lists the same facts; an empty value (a dedicated server's input files) is not
// compared.
Status AgreeOnFacts(Communicator& comm, const Facts& facts);

// Pins kernels to the lowest instruction set among the ranks and returns its name.
Result<std::string> AgreeOnInstructionSet(Communicator& comm);

// Names of all ranks' nodes, by rank.
Result<std::vector<std::string>> GatherHosts(Communicator& comm);

// The cores that each rank's process may use, by rank: a byte a core, '1' for one it may.
Result<std::vector<std::string>> GatherCores(Communicator& comm);

// Threads to compute with where the config names none: the cores that this rank may use, shared
// with the ranks of its node that may use some of them too. So ranks bound to cores of their own
// use all of those, and ranks that a batch system put into one cpuset share it. Pure.
int DefaultThreads(const std::vector<std::string>& hosts, const std::vector<std::string>& cores,
                   Rank rank);

}  // namespace trestle
