// A communicator whose ranks are threads of this process: the one-rank job's, and the tests', where
// n ranks run inside one test. Same contract, same deadlines, same errors as the MPI one.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace trestle {

// The n communicators of one in-process job; give one to each thread. They share a hub that lives
// as long as the last of them.
std::vector<std::unique_ptr<Communicator>> MakeThreadCommunicators(
    int size, CommunicatorOptions options = {});

// Runs body(comm) on `size` threads and returns the worst status as AgreeOnStatus would. When a
// body returns an error, the others' pending operations end with kPeerFailed.
Status RunThreadRanks(int size, const std::function<Status(Communicator&)>& body,
                      CommunicatorOptions options = {});

}  // namespace trestle
