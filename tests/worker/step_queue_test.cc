// The keys thread against a client that answers as a job would: what it says to the other ranks, in
// which order, how far ahead it gets, and that every way to leave a pass ends it for all.
#include "worker/step_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <vector>

namespace trestle {
namespace {

using testing::HasSubstr;

constexpr int64_t kRowsOfStep = 3;

class FakeLookup final : public Lookup {
 public:
  explicit FakeLookup(const AgreedHeader& header) : header_(header) {}
  const AgreedHeader& header() const override { return header_; }
  int64_t unique_keys() const override { return 0; }
  int64_t occurrences() const override { return 0; }
  int64_t remote_keys() const override { return 0; }
  int64_t needed_bytes() const override { return 0; }
  int64_t unseen_keys() const override { return 0; }
  int64_t unseen_occurrences() const override { return 0; }
  std::span<const int32_t> offsets(int, int) const override { return {}; }
  void Gather(int, int, float*) const override {}
  void Accumulate(int, int, const float*) override {}

 private:
  AgreedHeader header_;
};

// Agrees to whatever this worker says; a test adds what others say.
class FakeClient final : public Client {
 public:
  struct Call {
    StepHeader header;
    size_t lanes;
    Status local;
  };

  Result<std::unique_ptr<Lookup>> Prepare(const StepHeader& header, std::vector<LaneKeys> lanes,
                                          const Status& local) override {
    {
      std::lock_guard lock(mutex_);
      calls_.push_back({header, lanes.size(), local});
      most_ahead_ = std::max(most_ahead_, static_cast<int64_t>(calls_.size()) - taken);
      arrived_.notify_all();
    }
    if (!local.ok()) return local;
    AgreedHeader agreed{header.action, header.step, header.rows, header.rejected,
                        header.stop_requested};
    TRESTLE_RETURN_IF_ERROR(others(&agreed));
    return std::unique_ptr<Lookup>(std::make_unique<FakeLookup>(agreed));
  }
  Status Pull(Lookup&) override { return {}; }
  Result<PushOutcome> Push(Lookup&, bool, const Status&) override { return PushOutcome{true}; }

  void WaitForCalls(size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return calls_.size() >= count; });
  }
  std::vector<Call> calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  int64_t most_ahead() {
    std::lock_guard lock(mutex_);
    return most_ahead_;
  }

  std::function<Status(AgreedHeader*)> others = [](AgreedHeader*) { return Status(); };
  std::atomic<int64_t> taken{0};  // calls of Next so far, counted before each

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Call> calls_;
  int64_t most_ahead_ = 0;
};

class FakeReader final : public LaneReader {
 public:
  explicit FakeReader(int64_t steps) : steps_(steps) {}
  int64_t steps() const override { return steps_; }
  Result<std::optional<std::vector<LaneRows>>> Next() override {
    if (++step_ == fail_at) return Status(StatusCode::kIoError, "a.parquet: gone");
    if (step_ > steps_) return std::optional<std::vector<LaneRows>>();
    ledger_.read += kRowsOfStep;
    if (step_ == reject_at) {
      ++ledger_.rejected;
      first_reject_ = "a.parquet, row 7: label 2 is not 0 or 1";
    }
    std::vector<LaneRows> lanes(2);
    lanes[0].rows = kRowsOfStep;
    for (LaneRows& lane : lanes) lane.slots.resize(1);
    return std::optional(std::move(lanes));
  }
  const Ledger& ledger() const override { return ledger_; }
  const std::string& first_reject() const override { return first_reject_; }

  int64_t fail_at = -1;
  int64_t reject_at = -1;

 private:
  const int64_t steps_;
  int64_t step_ = 0;
  Ledger ledger_;
  std::string first_reject_;
};

// Takes steps until the end or an error; returns their numbers.
std::vector<int64_t> Drain(StepQueue& queue, Status* end) {
  std::vector<int64_t> steps;
  while (true) {
    auto step = queue.Next();
    *end = step.status();
    if (!step.ok() || !step->has_value()) return steps;
    steps.push_back((*step)->lookup->header().step);
  }
}

std::vector<int64_t> Numbers(int64_t first, int64_t last) {
  std::vector<int64_t> numbers;
  for (int64_t i = first; i <= last; ++i) numbers.push_back(i);
  return numbers;
}

TEST(StepQueue, HeadersOfStepsCarryTheFactorOfTheLearningRate) {
  FakeClient client;
  FakeReader reader(2);
  StepQueue::Options options{Action::kTrain, 4, 0, {}};
  options.lr_factor = [](int64_t step) { return 1.0f / static_cast<float>(step); };
  StepQueue queue(client, reader, options);
  Status end;
  Drain(queue, &end);
  const auto calls = client.calls();
  ASSERT_EQ(calls.size(), 3u);
  EXPECT_EQ(calls[0].header.lr_factor, 0.25f);
  EXPECT_EQ(calls[1].header.lr_factor, 0.2f);
}

// Heard with the header that closes a pass which goes on behind a pause.
TEST(StepQueue, TimeThatIsOverAtTheEndOfAPassIsHeard) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    agreed->out_of_time = agreed->action == Action::kEndPass;
    return Status();
  };
  FakeReader reader(5);
  StepQueue::Options options{Action::kTrain, 1, 0, {}};
  options.last_step = 2;
  StepQueue queue(client, reader, options);
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_TRUE(queue.out_of_time());
}

TEST(StepQueue, StepsComeInOrderAndTheLastHeaderClosesThePass) {
  FakeClient client;
  FakeReader reader(5);
  StepQueue queue(client, reader, {Action::kTrain, 11, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(11, 15));
  EXPECT_TRUE(end.ok());
  EXPECT_FALSE(queue.stopped());
  const auto calls = client.calls();
  ASSERT_EQ(calls.size(), 6u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(calls[i].header.action, Action::kTrain);
    EXPECT_EQ(calls[i].header.step, 11 + static_cast<int64_t>(i));
    EXPECT_EQ(calls[i].header.rows, kRowsOfStep);
    EXPECT_EQ(calls[i].lanes, 2u);
  }
  EXPECT_EQ(calls[5].header.action, Action::kEndPass);
  EXPECT_EQ(calls[5].header.rows, 0);
  EXPECT_EQ(calls[5].lanes, 0u);
}

// An evaluation may run between the two: nothing is read ahead of it, and nothing is lost.
TEST(StepQueue, ABoundedPassReadsNothingBeyondItAndAnotherGoesOn) {
  FakeClient client;
  FakeReader reader(5);
  Status end;
  {
    StepQueue queue(client, reader, {Action::kTrain, 11, 0, {}, {}, {}, /*last_step=*/12});
    EXPECT_EQ(Drain(queue, &end), Numbers(11, 12));
    EXPECT_FALSE(queue.stopped());
  }
  EXPECT_EQ(reader.ledger().read, 2 * kRowsOfStep);
  EXPECT_EQ(client.calls().back().header.action, Action::kEndPass);
  StepQueue queue(client, reader, {Action::kTrain, 13, 0, {}, {}, {}, /*last_step=*/99});
  EXPECT_EQ(Drain(queue, &end), Numbers(13, 15));
  EXPECT_EQ(reader.ledger().read, 5 * kRowsOfStep);
  EXPECT_EQ(client.calls().size(), 7u);
}

TEST(StepQueue, OutOfTimeEndsThePassAfterTheStepThatSaysSo) {
  FakeClient client;
  client.others = [](AgreedHeader* header) {
    header->out_of_time = header->step == 2;
    return Status();
  };
  FakeReader reader(5);
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_TRUE(end.ok());
  EXPECT_TRUE(queue.out_of_time());
  EXPECT_FALSE(queue.stopped());
}

TEST(StepQueue, TheEndIsReturnedAgainAndAgain) {
  FakeClient client;
  FakeReader reader(1);
  StepQueue queue(client, reader, {Action::kEvaluate, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 1));
  for (int i = 0; i < 3; ++i) {
    const auto again = queue.Next();
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->has_value());
  }
}

TEST(StepQueue, APassWithoutStepsIsClosedAtOnce) {
  FakeClient client;
  FakeReader reader(0);
  {
    StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
    Status end;
    EXPECT_EQ(Drain(queue, &end), std::vector<int64_t>());
  }
  EXPECT_EQ(client.calls().size(), 1u);
}

// One step queued, the next one prepared: with n calls of Next begun, n + 2 of Prepare at most.
TEST(StepQueue, GetsNoFurtherAheadThanItsBound) {
  constexpr int64_t kSteps = 20;
  FakeClient client;
  FakeReader reader(kSteps);
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  for (int64_t step = 1; step <= kSteps; ++step) {
    client.WaitForCalls(static_cast<size_t>(std::min(step + 1, kSteps + 1)));  // as far as it may
    ++client.taken;
    auto next = queue.Next();
    ASSERT_TRUE(next.ok() && next->has_value());
  }
  ++client.taken;
  EXPECT_FALSE(queue.Next()->has_value());
  EXPECT_EQ(client.most_ahead(), 2);
}

TEST(StepQueue, AReadersFailureGoesOutWithTheNextHeader) {
  FakeClient client;
  FakeReader reader(9);
  reader.fail_at = 4;
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 3));
  EXPECT_EQ(end.code(), StatusCode::kIoError);
  EXPECT_EQ(queue.Next().status().ToString(), end.ToString()) << "an error stays";
  const auto calls = client.calls();
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_EQ(calls[3].local.root_message(), "a.parquet: gone");
  EXPECT_EQ(calls[3].lanes, 0u);
}

TEST(StepQueue, AnotherRanksFailureIsReturnedAfterTheStepsBeforeIt) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    return agreed->step == 3 ? Status(StatusCode::kInvalidData, "b.parquet") : Status();
  };
  FakeReader reader(9);
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_EQ(end.root_message(), "b.parquet");
  EXPECT_EQ(client.calls().size(), 3u);
}

TEST(StepQueue, TooManyBadRowsNameTheFirstOfThem) {
  FakeClient client;
  FakeReader reader(9);
  reader.reject_at = 2;
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  Drain(queue, &end);
  EXPECT_EQ(end.code(), StatusCode::kInvalidData);
  EXPECT_THAT(end.ToString(), HasSubstr("a.parquet, row 7: label 2 is not 0 or 1 (1 bad rows; "
                                        "data.max_bad_rows allows 0)"));
  EXPECT_EQ(client.calls().size(), 3u) << "the header after the one that counted it";
}

TEST(StepQueue, BadRowsWithinTheLimitDoNotStopThePass) {
  FakeClient client;
  FakeReader reader(9);
  reader.reject_at = 2;
  StepQueue queue(client, reader, {Action::kTrain, 1, 1, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 9));
  EXPECT_TRUE(end.ok()) << end.ToString();
  EXPECT_EQ(client.calls().back().header.rejected, 1);
}

// The last header of the pass is the first that counts them, so one more must carry the failure.
TEST(StepQueue, TooManyBadRowsInTheLastHeaderAreStillAFailure) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    agreed->rejected += agreed->action == Action::kEndPass ? 5 : 0;
    return Status();
  };
  FakeReader reader(2);
  reader.reject_at = 2;
  StepQueue queue(client, reader, {Action::kTrain, 1, 3, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_THAT(end.ToString(), HasSubstr("(6 bad rows; data.max_bad_rows allows 3)"));
  EXPECT_EQ(client.calls().size(), 4u);
}

// The rank that met none of the rejected rows has nothing to say; it hears who did.
TEST(StepQueue, BadRowsOfOtherRanksAreNamedByThem) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    if (agreed->step == 4) return Status(StatusCode::kInvalidData, "rank 1: c.parquet, row 9");
    agreed->rejected += agreed->step >= 3 ? 8 : 0;
    return Status();
  };
  FakeReader reader(9);
  StepQueue queue(client, reader, {Action::kTrain, 1, 7, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 3));
  EXPECT_EQ(end.root_message(), "rank 1: c.parquet, row 9");
  EXPECT_TRUE(client.calls().back().local.ok());
}

TEST(StepQueue, AStopRequestGoesIntoTheHeadersAndEndsThePassAfterTheStepThatAgreedOnIt) {
  FakeClient client;
  FakeReader reader(9);
  std::atomic<int> asked{0};
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, [&] { return ++asked >= 3; }});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 3));
  EXPECT_TRUE(end.ok());
  EXPECT_TRUE(queue.stopped());
  const auto calls = client.calls();
  ASSERT_EQ(calls.size(), 4u);
  EXPECT_FALSE(calls[1].header.stop_requested);
  EXPECT_TRUE(calls[2].header.stop_requested);
  EXPECT_EQ(calls[3].header.action, Action::kEndPass);
}

TEST(StepQueue, AStopRequestOfAnotherRankCountsAsMuch) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    agreed->stop_requested = agreed->step == 2;
    return Status();
  };
  FakeReader reader(9);
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_TRUE(queue.stopped());
}

TEST(StepQueue, AStopRequestInTheLastHeaderIsForTheNextPass) {
  FakeClient client;
  client.others = [](AgreedHeader* agreed) {
    agreed->stop_requested = agreed->action == Action::kEndPass;
    return Status();
  };
  FakeReader reader(2);
  StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
  Status end;
  EXPECT_EQ(Drain(queue, &end), Numbers(1, 2));
  EXPECT_FALSE(queue.stopped());
}

// Wherever the main thread fails, the others are told in one header that fails, the last one: they
// may be in it already. Every place of the pass, and with the thread at its furthest or just begun.
TEST(StepQueue, AnAbandonedPassEndsWithOneHeaderThatFails) {
  constexpr int64_t kSteps = 4;
  for (int64_t taken = 0; taken <= kSteps; ++taken) {
    for (const bool let_run_ahead : {false, true}) {
      for (const bool by_destructor : {false, true}) {
        SCOPED_TRACE("after " + std::to_string(taken) + " steps");
        FakeClient client;
        FakeReader reader(kSteps);
        {
          StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
          for (int64_t i = 0; i < taken; ++i) ASSERT_TRUE(queue.Next()->has_value());
          const size_t furthest = static_cast<size_t>(std::min(taken + 2, kSteps + 1));
          if (let_run_ahead) client.WaitForCalls(furthest);
          if (!by_destructor) queue.Abandon({StatusCode::kNumeric, "step 2: NaN"});
        }
        const auto calls = client.calls();
        ASSERT_GE(calls.size(), static_cast<size_t>(taken) + 1);
        for (size_t i = 0; i + 1 < calls.size(); ++i) EXPECT_TRUE(calls[i].local.ok()) << i;
        EXPECT_FALSE(calls.back().local.ok());
        const std::string why = by_destructor ? "the step before this one failed" : "step 2: NaN";
        EXPECT_EQ(calls.back().local.root_message(), why);
      }
    }
  }
}

TEST(StepQueue, AbandoningAfterAnErrorOrTheEndSaysNothingMore) {
  for (const bool fails : {false, true}) {
    FakeClient client;
    FakeReader reader(3);
    reader.fail_at = fails ? 2 : -1;
    {
      StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
      Status end;
      Drain(queue, &end);
      EXPECT_EQ(end.ok(), !fails);
      queue.Abandon({StatusCode::kNumeric, "too late"});
    }
    EXPECT_EQ(client.calls().size(), fails ? 2u : 4u);
  }
}

TEST(StepQueue, AbandoningWhileAnErrorIsQueuedSaysNothingMore) {
  FakeClient client;
  FakeReader reader(3);
  reader.fail_at = 2;
  {
    StepQueue queue(client, reader, {Action::kTrain, 1, 0, {}});
    client.WaitForCalls(2);  // the second fails
    queue.Abandon({StatusCode::kNumeric, "step 1: NaN"});
  }
  ASSERT_EQ(client.calls().size(), 2u);
  EXPECT_EQ(client.calls()[1].local.root_message(), "a.parquet: gone");
}

}  // namespace
}  // namespace trestle
