// What every Communicator must do, as bodies that one rank runs: the same for ranks that are
// threads (communicator_contract_test.cc) and for processes under the real mpirun
// (mpi_contract_main.cc).
#pragma once

#include <ostream>
#include <vector>

#include "comm/communicator.h"

namespace trestle {

struct ContractCase {
  const char* name;
  Status (*body)(
      Communicator&);  // failed expectations are gtest's; the status is the communicator's
};
inline void PrintTo(const ContractCase& contract, std::ostream* out) { *out << contract.name; }

// Any number of these may run one after another on one communicator.
const std::vector<ContractCase>& ContractCases();

// Needs a communicator whose dense stream is unused; limits it to the even ranks.
Status MembersContract(Communicator& comm);

}  // namespace trestle
