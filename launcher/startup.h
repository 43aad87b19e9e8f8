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

// Threads to compute with where the config names none: the cores this process may use, shared with
// the other ranks of its node unless it is bound to cores of its own.
int DefaultThreads(const std::vector<std::string>& hosts, Rank rank);

}  // namespace trestle
