// A communicator over Open MPI. One internal thread owns MPI from MPI_Init to MPI_Finalize; callers
// hand it exchanges and sleep (mpi_engine.h). Each stream is a duplicate of MPI_COMM_WORLD.
// Collectives are our own (exchange_communicator.h), so that a deadline names the peers that are
// missing. Messages beyond 1 GiB are sent as counts of a derived type.
//
// The destructor is collective: it waits for all ranks, to the deadline, and finalizes MPI. After
// an error it aborts the job instead, with the error's exit code, since a rank that waits in
// MPI_Finalize for a dead peer waits for ever. A rank that leaves for a reason of its own calls
// Abort first.
//
// Abort prints `reason` on stderr, once, unless it is empty (pass none if it has been reported).
// Any thread may call it, but not a signal handler.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace trestle {

// Whether this process was started by mpirun or a resource manager that speaks PMI.
bool StartedUnderMpi();

// Initializes MPI. Once per process. Collective over all ranks of the job. Messages of at least
// `large_message_bytes` take the path of large ones (tests lower it).
Result<std::unique_ptr<Communicator>> MakeMpiCommunicator(CommunicatorOptions options = {},
                                                          size_t large_message_bytes = size_t{1}
                                                                                       << 30);

// "Open MPI 4.1.4"
std::string MpiVersion();

}  // namespace trestle
