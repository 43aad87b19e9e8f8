// What the communicator costs: latency and bandwidth of all-to-all, the dense gradients'
// all-reduce, and what a computing thread loses while another stream waits for a late peer.
//
//   mpirun -np 2 comm_bench      over MPI; after `. tests/support/mpi_env.sh` messages are copied
//                                twice through shared memory, as in most containers
//   comm_bench [RANKS]           RANKS threads of one process (2)
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "comm/mpi_communicator.h"
#include "comm/thread_communicator.h"

namespace trestle {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The median over `rounds` of the seconds that `body` takes.
Result<double> MedianSeconds(int rounds, const std::function<Status()>& body) {
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) {
    const Clock::time_point start = Clock::now();
    TRESTLE_RETURN_IF_ERROR(body());
    seconds.push_back(SecondsSince(start));
  }
  std::nth_element(seconds.begin(), seconds.begin() + rounds / 2, seconds.end());
  return seconds[static_cast<size_t>(rounds / 2)];
}

void PrintRow(const Communicator& comm, const char* what, size_t bytes, double seconds) {
  if (comm.rank().value != 0) return;
  std::printf("%-22s %12zu %12.1f %12.2f\n", what, bytes, seconds * 1e6,
              static_cast<double>(bytes) / seconds * 1e-9);
}

Status BenchAllToAll(Communicator& comm, size_t bytes, int rounds) {
  const size_t n = static_cast<size_t>(comm.size());
  std::vector<char> out(bytes * n), in(bytes * n);
  std::vector<ConstBuffer> send(n);
  std::vector<MutableBuffer> recv(n);
  for (size_t r = 0; r < n; ++r) {
    send[r] = {&out[r * bytes], bytes};
    recv[r] = {&in[r * bytes], bytes};
  }
  TRESTLE_ASSIGN_OR_RETURN(const double seconds, MedianSeconds(rounds, [&] {
                             return comm.AllToAll({Stream::kRows, "bench"}, send, recv);
                           }));
  PrintRow(comm, "all-to-all, each pair", bytes, seconds);
  return {};
}

Status BenchAllReduce(Communicator& comm, size_t elements, int rounds) {
  std::vector<int64_t> values(elements, 1);
  TRESTLE_ASSIGN_OR_RETURN(const double seconds, MedianSeconds(rounds, [&] {
                             return comm.AllReduceSum({Stream::kDense, "bench"}, values);
                           }));
  PrintRow(comm, "all-reduce of int64", elements * sizeof(int64_t), seconds);
  return {};
}

// A fixed amount of arithmetic whose result is a status, so that the optimizer cannot remove it.
Status Compute() {
  double x = 1.0;
  for (int i = 0; i < 50'000'000; ++i) x = x * 1.0000001 + 1e-9;
  return x > 0 ? Ok() : Status(StatusCode::kNumeric, "the sum is not positive");
}

double CpuSeconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Rank 0 computes while its keys stream waits for the others, who come when rank 0 is done. Counted
// in processor time, which other programs on the machine do not change.
Status BenchDisturbance(Communicator& comm) {
  if (comm.rank().value != 0 || !StartedUnderMpi()) {
    TRESTLE_RETURN_IF_ERROR(comm.Barrier({Stream::kControl, "bench"}));
    return comm.Barrier({Stream::kKeys, "bench"});
  }
  Status keys;
  std::thread waiting([&] { keys = comm.Barrier({Stream::kKeys, "bench"}); });
  const double all_before = CpuSeconds(RUSAGE_SELF), own_before = CpuSeconds(RUSAGE_THREAD);
  const Result<double> computed = MedianSeconds(20, Compute);
  const double own = CpuSeconds(RUSAGE_THREAD) - own_before;
  const double others = CpuSeconds(RUSAGE_SELF) - all_before - own;
  const Status control = comm.Barrier({Stream::kControl, "bench"});
  waiting.join();
  TRESTLE_RETURN_IF_ERROR(control);
  TRESTLE_RETURN_IF_ERROR(keys);
  TRESTLE_RETURN_IF_ERROR(computed.status());
  std::printf("the wait of the keys stream costs %.2f %% of the computing beside it (%.2f s)\n",
              others / own * 100, own);
  return {};
}

Status Bench(Communicator& comm) {
  if (comm.rank().value == 0) {
    std::printf("%d ranks\n%-22s %12s %12s %12s\n", comm.size(), "operation", "bytes", "median us",
                "GB/s a pair");
  }
  for (const size_t bytes : {size_t{8}, size_t{1} << 10, size_t{64} << 10, size_t{200} << 10,
                             size_t{1} << 20, size_t{5'000'000}, size_t{16} << 20}) {
    TRESTLE_RETURN_IF_ERROR(BenchAllToAll(comm, bytes, bytes > (1u << 20) ? 100 : 2000));
  }
  TRESTLE_RETURN_IF_ERROR(BenchAllReduce(comm, 1, 2000));
  TRESTLE_RETURN_IF_ERROR(BenchAllReduce(comm, 100'000, 500));
  return BenchDisturbance(comm);
}

int Report(const Status& status) {
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return ExitCode(status.code());
}

int Main(int argc, char** argv) {
  if (!StartedUnderMpi()) return Report(RunThreadRanks(argc > 1 ? std::atoi(argv[1]) : 2, Bench));
  auto comm = MakeMpiCommunicator();
  return Report(comm.ok() ? Bench(**comm) : comm.status());
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) { return trestle::Main(argc, argv); }
