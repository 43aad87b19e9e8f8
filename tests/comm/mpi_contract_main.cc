// One rank under mpirun; mpi_communicator_test.cc starts it. The exit code says how it went: that
// of the communicator's status, or kUnexpected when an expectation failed.
//
//   mpi_contract contract | contract-in-parts | members
//   mpi_contract missing | missing-at-end | missing-in-short-wait | late
//   mpi_contract missing-at-start
//   mpi_contract abort | abort-beside-a-wait | killed | short | long
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string_view>
#include <thread>

#include "comm/mpi_communicator.h"
#include "tests/comm/communicator_contract.h"

namespace trestle {
namespace {

constexpr int kUnexpected = 99;
constexpr std::chrono::milliseconds kShort{300};
constexpr std::chrono::hours kNever{1};
const Operation kPull{Stream::kRows, "pull", 17};

struct Mode {
  std::chrono::milliseconds deadline;
  size_t part_bytes;
  std::function<Status(Communicator&)> body;
  bool rank_0_starts_alone = false;
};

[[noreturn]] void WaitToBeKilled() {
  while (true) pause();
}

bool IsLast(const Communicator& comm) { return comm.rank().value + 1 == comm.size(); }

Status RunContract(Communicator& comm) {
  for (const ContractCase& contract : ContractCases()) {
    SCOPED_TRACE(contract.name);
    TRESTLE_RETURN_IF_ERROR(contract.body(comm));
    TRESTLE_RETURN_IF_ERROR(comm.Barrier({}));
  }
  if (comm.rank() == Rank{0}) std::cout << "contract held on " << MpiVersion() << std::endl;
  return {};
}

// The last rank does not come; rank 0 says what it saw, the others leave the word to it.
Status MissRank(Communicator& comm) {
  if (IsLast(comm)) WaitToBeKilled();
  const Status status = comm.Barrier(kPull);
  if (comm.rank() != Rank{0}) WaitToBeKilled();
  std::cout << status.ToString() << std::endl;
  std::cout << comm.Barrier({Stream::kDense, "dense", 18}).ToString() << std::endl;
  return status;  // whose destructor ends the job
}

// The last rank comes after the others' deadline, which does not hold for this operation.
Status ComeLate(Communicator& comm) {
  constexpr Operation kLongWait{Stream::kControl, "saving", -1, kLongPhase};
  if (IsLast(comm)) std::this_thread::sleep_for(3 * kShort);
  return comm.Barrier(kLongWait);
}

// The last rank does not come; the operation's limit is much shorter than the deadline.
Status MissRankInShortWait(Communicator& comm) {
  constexpr Operation kShortWait{Stream::kControl, "saving", -1, kShort};
  if (IsLast(comm)) WaitToBeKilled();
  const Status status = comm.Barrier(kShortWait);
  std::cout << status.ToString() << std::endl;
  return status;
}

// The last rank leaves in peace while the others still want something of it.
Status MissRankAtEnd(Communicator& comm) { return IsLast(comm) ? Ok() : MissRank(comm); }

Status AbortWhileOthersWait(Communicator& comm) {
  if (IsLast(comm)) comm.Abort(7, "the disk is full");
  return comm.Barrier(kPull);
}

// Abort while another thread of the same rank waits in an exchange, from two threads at once.
Status AbortBesideAWait(Communicator& comm) {
  if (!IsLast(comm)) return comm.Barrier(kPull);
  std::thread waiting([&] { static_cast<void>(comm.Barrier({Stream::kKeys, "keys", 18})); });
  std::thread other([&] { comm.Abort(7, "the disk is full"); });
  comm.Abort(7, "the disk is full");
  waiting.join();  // not reached under MPI
  other.join();
  return {};
}

Status KillRank(Communicator& comm) {
  if (IsLast(comm)) raise(SIGKILL);
  return comm.Barrier(kPull);
}

// The root sends `sent` bytes where `expected` are expected.
Status DisagreeOnSize(Communicator& comm, size_t sent, size_t expected) {
  std::vector<std::byte> bytes(comm.rank() == Rank{0} ? sent : expected);
  const Status status = comm.Broadcast(kPull, {bytes.data(), bytes.size()}, Rank{0});
  if (comm.rank() == Rank{0}) WaitToBeKilled();
  std::cout << status.ToString() << std::endl;
  return status;
}

const std::map<std::string, Mode>& Modes() {
  constexpr size_t kPart = size_t{256} << 10;
  static const std::map<std::string, Mode> modes = {
      {"contract", {kNever, kPart, RunContract}},
      {"contract-in-parts", {kNever, 5'000, RunContract}},
      {"members", {kNever, kPart, MembersContract}},
      {"missing", {kShort, kPart, MissRank}},
      {"missing-at-end", {kShort, kPart, MissRankAtEnd}},
      {"late", {kShort, kPart, ComeLate}},
      {"missing-in-short-wait", {kNever, kPart, MissRankInShortWait}},
      {"missing-at-start", {kShort, kPart, RunContract, /*rank_0_starts_alone=*/true}},
      {"abort", {kNever, kPart, AbortWhileOthersWait}},
      {"abort-beside-a-wait", {kNever, kPart, AbortBesideAWait}},
      {"killed", {kNever, kPart, KillRank}},
      {"short", {kNever, kPart, [](Communicator& c) { return DisagreeOnSize(c, 8, 12); }}},
      {"long", {kNever, kPart, [](Communicator& c) { return DisagreeOnSize(c, 12, 8); }}},
  };
  return modes;
}

int RunMode(const Mode& mode) {
  const std::string_view rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (mode.rank_0_starts_alone && rank != "0") WaitToBeKilled();
  Result<std::unique_ptr<Communicator>> comm =
      MakeMpiCommunicator({mode.deadline}, mode.part_bytes);
  if (!comm.ok()) {
    std::cerr << comm.status().ToString() << "\n";
    return kUnexpected;
  }
  const Status status = mode.body(**comm);
  comm->reset();
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return ::testing::UnitTest::GetInstance()->Passed() ? ExitCode(status.code()) : kUnexpected;
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const auto mode = trestle::Modes().find(argc == 2 ? argv[1] : "");
  if (mode == trestle::Modes().end()) return trestle::kUnexpected;
  return trestle::RunMode(mode->second);
}
