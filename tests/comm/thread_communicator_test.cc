#include "comm/thread_communicator.h"

#include <gtest/gtest.h>

namespace trestle {
namespace {

TEST(ThreadCommunicator, SumsAndGathersOverRanks) {
  const Status status = RunThreadRanks(3, [](Communicator& comm) -> Status {
    std::vector<int64_t> values(10'000, comm.rank().value + 1);
    TRESTLE_RETURN_IF_ERROR(comm.AllReduceSum({Stream::kDense, "dense", 1}, values));
    EXPECT_EQ(values, std::vector<int64_t>(10'000, 6));
    TRESTLE_ASSIGN_OR_RETURN(const auto texts,
                             comm.AllGather({}, std::string(size_t(comm.rank().value), 'x')));
    EXPECT_EQ(texts, (std::vector<std::string>{"", "x", "xx"}));
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

}  // namespace
}  // namespace trestle
