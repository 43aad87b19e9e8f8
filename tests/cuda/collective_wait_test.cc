// What a rank says, and that it aborts, when NCCL fails or a peer does not come.
#include "cuda/collective_wait.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_nccl.h"

namespace trestle::cuda {
namespace {

class CollectiveWaitTest : public testing::Test {
 protected:
  Status Wait() {
    return WaitForCollective(gpu_, nccl_, clock_, std::chrono::seconds(5),
                             {{nullptr, 2}, {}, 17, "push", "rank 3"});
  }
  FakeGpu gpu_;
  FakeNccl nccl_;
  FakeClock clock_;
};

TEST_F(CollectiveWaitTest, EndsWithTheEvent) {
  EXPECT_TRUE(Wait().ok());
  EXPECT_EQ(nccl_.aborted, 0);
}

TEST_F(CollectiveWaitTest, AnErrorInTheBackgroundAborts) {
  gpu_.event_done = false;
  nccl_.polls_until_error = 10;
  nccl_.async_error = {StatusCode::kPeerFailed, "NCCL: in the background, rank 2: remote error"};
  const Status status = Wait();
  EXPECT_EQ(status.code(), StatusCode::kPeerFailed);
  EXPECT_EQ(
      status.ToString(),
      "rank 2, step 17, push: exchanging with rank 3: NCCL: in the background, rank 2: remote "
      "error");
  EXPECT_EQ(nccl_.aborted, 1);
  EXPECT_LT(clock_.Now(), std::chrono::seconds(1));
}

TEST_F(CollectiveWaitTest, APeerThatDoesNotComeIsADeadlineExceeded) {
  gpu_.event_done = false;
  const Status status = Wait();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.ToString(), "rank 2, step 17, push: waited 5 s for rank 3 over NCCL");
  EXPECT_EQ(nccl_.aborted, 1);
}

}  // namespace
}  // namespace trestle::cuda
