#include "worker/step_costs.h"

#include <gtest/gtest.h>

#include <vector>

#include "comm/thread_communicator.h"
#include "tests/support/fake_clock.h"

namespace trestle {
namespace {

// `bytes[r]` to each rank r, on the stream.
Status Send(Communicator& comm, Stream stream, const std::vector<size_t>& bytes) {
  const std::vector<std::byte> out(100);
  std::vector<std::byte> in(100 * static_cast<size_t>(comm.size()));
  std::vector<ConstBuffer> send;
  std::vector<MutableBuffer> recv;
  for (size_t r = 0; r < bytes.size(); ++r) {
    send.push_back({out.data(), bytes[r]});
    recv.push_back({in.data() + 100 * r, bytes[static_cast<size_t>(comm.rank().value)]});
  }
  return comm.AllToAll({stream, "test"}, send, recv);
}

TEST(PhaseTimer, GivesAllTimeToPhases) {
  FakeClock clock;
  StepCosts costs;
  PhaseTimer timer(clock, &costs);
  for (int step = 0; step < 2; ++step) {
    clock.SleepFor(std::chrono::seconds(1));
    timer.End(StepPhase::kInput);
    clock.SleepFor(std::chrono::seconds(3));
    timer.End(StepPhase::kCompute);
    timer.End(StepPhase::kRest);
  }
  EXPECT_EQ(costs.phase_s(StepPhase::kInput), 2);
  EXPECT_EQ(costs.phase_s(StepPhase::kCompute), 6);
  EXPECT_EQ(costs.phase_s(StepPhase::kPull), 0);
  EXPECT_EQ(costs.phase_s(StepPhase::kRest), 0);
}

TEST(TrafficMeter, CountsWhatGoesOverWiresFromItsConstructionOn) {
  const Status ran = RunThreadRanks(3, [](Communicator& comm) -> Status {
    const std::vector<Rank> none, server = {Rank{2}};
    TRESTLE_RETURN_IF_ERROR(Send(comm, Stream::kKeys, {50, 50, 50}));
    const TrafficMeter colocated(comm, none), apart(comm, server);
    TRESTLE_RETURN_IF_ERROR(Send(comm, Stream::kKeys, {10, 20, 30}));
    TRESTLE_RETURN_IF_ERROR(Send(comm, Stream::kRows, {1, 2, 3}));
    std::vector<int64_t> values(4, 1);
    TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum({Stream::kDense, "test"}, values));
    TRESTLE_RETURN_IF_ERROR(comm.Barrier({Stream::kControl, "test"}));
    StepCosts costs;
    colocated.AddTo(&costs);
    const int64_t sent_keys[] = {20 + 30, 10 + 30, 10 + 20};
    const int rank = comm.rank().value;
    EXPECT_EQ(costs.keys_bytes, sent_keys[rank]) << "nothing that it gives to itself";
    EXPECT_EQ(costs.rows_bytes, sent_keys[rank] / 10);
    EXPECT_EQ(costs.dense_bytes, 2 * 4 * 8);
    TRESTLE_RETURN_IF_ERROR(costs.SumOver(comm, {Stream::kControl, "test"}));
    EXPECT_EQ(costs.keys_bytes, 120);
    EXPECT_EQ(costs.dense_bytes, 3 * 2 * 4 * 8);
    StepCosts with_servers;
    apart.AddTo(&with_servers);
    const int64_t from_server[] = {10, 20, 0};
    EXPECT_EQ(with_servers.keys_bytes, sent_keys[rank] + from_server[rank]);
    return {};
  });
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

}  // namespace
}  // namespace trestle
