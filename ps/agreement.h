// How the ranks come to one mind inside a step: a record from every rank to every rank, and
// AgreeOnStatus only if one of them says that it failed.
//
// Thread safety: one thread a stream. Collective: all ranks, in the same order.
// Errors: kMismatch for a record of another program version; those of the communicator.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "ps/wire.h"

namespace trestle {

// "step 17, pull".
std::string Where(const Operation& op);

// kMismatch naming the rank whose record is not one of ours.
Status CheckMagic(uint32_t magic, size_t from);
Status CheckVerdicts(std::span<const Verdict> verdicts);

// Whether any verdict has the flag.
bool AnyVerdict(std::span<const Verdict> verdicts, uint32_t flag);

// Every rank's verdict for this one. own[r] is what rank r is told.
Result<std::vector<Verdict>> ExchangeVerdicts(Communicator& comm, const Operation& op,
                                              std::span<const Verdict> own);

// Called by all ranks once one of them said kFailed: all return the failure.
Status AgreeOnFailure(Communicator& comm, const Operation& op, const Status& local);

}  // namespace trestle
