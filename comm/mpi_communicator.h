// A communicator over Open MPI. One internal thread owns MPI from MPI_Init to MPI_Finalize; callers
// hand it operations through a bounded queue and sleep. Each stream is a duplicate of
// MPI_COMM_WORLD (or a group of it, after SetMembers). Messages beyond 1 GiB are sent as counts of
// a derived type.
//
// The destructor finalizes MPI on success; after an error it aborts the job instead, since a rank
// that waits in MPI_Finalize for a dead peer waits for ever.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace trestle {

// Whether this process was started by mpirun or a resource manager that speaks PMI.
bool StartedUnderMpi();

// Initializes MPI. Once per process. Collective over all ranks of the job.
Result<std::unique_ptr<Communicator>> MakeMpiCommunicator(CommunicatorOptions options = {});

// "Open MPI 4.1.4"
std::string MpiVersion();

}  // namespace trestle
