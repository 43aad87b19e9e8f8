// A communicator over Open MPI. One internal thread owns MPI from MPI_Init to MPI_Finalize; callers
// hand it exchanges and sleep (mpi_engine.h). Each stream is a duplicate of MPI_COMM_WORLD.
// Collectives are our own (exchange_communicator.h), so that a deadline names the peers that are
// missing. Messages of more than 256 KiB are sent in parts.
//
// The destructor is collective: it waits for all ranks, to the deadline, and finalizes MPI. After
// an error it aborts the job instead, with the error's exit code, since a rank that waits in
// MPI_Finalize for a dead peer waits for ever. A rank that leaves for a reason of its own calls
// Abort first.
//
// A rank that never reaches MPI's start or end: those who wait there end with one line and the exit
// code of kDeadlineExceeded, kGrace (mpi_engine.h) after the deadline.
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

// Initializes MPI. Once per process. Collective over all ranks of the job. `part_bytes` is the same
// on all of them (tests lower it).
Result<std::unique_ptr<Communicator>> MakeMpiCommunicator(CommunicatorOptions options = {},
                                                          size_t part_bytes = size_t{256} << 10);

// "Open MPI 4.1.4"
std::string MpiVersion();

}  // namespace trestle
