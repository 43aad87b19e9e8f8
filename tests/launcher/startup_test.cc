// What ranks compare before the first step.
#include "launcher/startup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/bridge.h"
#include "comm/thread_communicator.h"

namespace trestle {
namespace {

using testing::HasSubstr;

// What AgreeOnFacts returns on each rank, given each rank's facts.
std::vector<Status> Agree(const std::vector<Facts>& facts) {
  std::vector<Status> statuses(facts.size());
  const Status ran =
      RunThreadRanks(static_cast<int>(facts.size()), [&](Communicator& comm) -> Status {
        const auto r = static_cast<size_t>(comm.rank().value);
        statuses[r] = AgreeOnFacts(comm, facts[r]);
        return {};
      });
  EXPECT_TRUE(ran.ok()) << ran.ToString();
  return statuses;
}

void ExpectMismatch(const std::vector<Status>& statuses, const std::string& what) {
  for (size_t r = 0; r < statuses.size(); ++r) {
    EXPECT_EQ(statuses[r].code(), StatusCode::kMismatch);
    EXPECT_THAT(statuses[r].ToString(), HasSubstr(what));
    EXPECT_EQ(statuses[r].from_peer(), r != 0) << "rank 0 alone prints it";
  }
}

void ExpectOk(const std::vector<Status>& statuses) {
  for (const Status& status : statuses) EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST(AgreeOnFacts, EqualFactsAreFine) {
  for (const size_t ranks : {1, 2, 5}) {
    ExpectOk(Agree(std::vector<Facts>(ranks, {{"the config", "9f"}, {"the program", "x 1.0"}})));
  }
}

TEST(AgreeOnFacts, ADifferenceNamesTheFactTwoRanksAndWhatTheyHave) {
  ExpectMismatch(Agree({{{"the config", "9f"}, {"p", "1"}},
                        {{"the config", "9f"}, {"p", "1"}},
                        {{"the config", "31"}, {"p", "1"}}}),
                 "the ranks differ in the config: rank 0 has 9f, rank 2 has 31");
}

TEST(AgreeOnFacts, AllDifferencesAreListed) {
  ExpectMismatch(Agree({{{"a", "1"}, {"b", "2"}}, {{"a", "3"}, {"b", "4"}}}),
                 "a: rank 0 has 1, rank 1 has 3; b: rank 0 has 2, rank 1 has 4");
}

TEST(AgreeOnFacts, AnEmptyValueIsNotCompared) {
  ExpectOk(Agree({{{"files", ""}}, {{"files", "7"}}, {{"files", ""}}, {{"files", "7"}}}));
  ExpectOk(Agree({{{"files", ""}}, {{"files", ""}}}));
  ExpectMismatch(Agree({{{"files", ""}}, {{"files", "7"}}, {{"files", "8"}}}),
                 "files: rank 1 has 7, rank 2 has 8");
}

TEST(AgreeOnFacts, ValuesMayHoldAnyText) {
  const Facts facts = {{"a", "x\ty\nz"}, {"b", "\n\n"}, {"c", "1"}};
  ExpectOk(Agree({facts, facts}));
  Facts other = facts;
  other[2].second = "2";
  ExpectMismatch(Agree({facts, other}), "differ in c: rank 0 has 1, rank 1 has 2");
}

// Another version of the program may compare other things.
TEST(AgreeOnFacts, AnotherNumberOfFactsIsAMismatch) {
  const Facts two = {{"a", "1"}, {"b", "2"}}, one = {{"a", "1"}};
  ExpectMismatch(Agree({two, one}), "ranks 0 and 1 compare different things");
  ExpectMismatch(Agree({one, two}), "ranks 0 and 1 compare different things");
  ExpectMismatch(Agree({two, two, one}), "ranks 0 and 2 compare different things");
}

TEST(AgreeOnInstructionSet, IsTheLowestOfAllRanks) {
  const Status ran = RunThreadRanks(3, [](Communicator& comm) -> Status {
    TRESTLE_ASSIGN_OR_RETURN(const std::string pinned, AgreeOnInstructionSet(comm));
    EXPECT_EQ(pinned, NativeInstructionSet());  // one machine: all have the same
    return {};
  });
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

TEST(Startup, EveryRankKnowsAllHostsAndCores) {
  const Status ran = RunThreadRanks(3, [](Communicator& comm) -> Status {
    TRESTLE_ASSIGN_OR_RETURN(const auto hosts, GatherHosts(comm));
    TRESTLE_ASSIGN_OR_RETURN(const auto cores, GatherCores(comm));
    EXPECT_EQ(hosts, std::vector<std::string>(3, comm.host()));
    EXPECT_EQ(cores.size(), 3u);
    for (const std::string& of_rank : cores) EXPECT_NE(of_rank.find('1'), std::string::npos);
    EXPECT_EQ(cores[0], cores[2]);
    return {};
  });
  EXPECT_TRUE(ran.ok()) << ran.ToString();
}

TEST(DefaultThreads, OneRankTakesAllCoresItMayUse) {
  EXPECT_EQ(DefaultThreads({"a"}, {"11110000"}, Rank{0}), 4);
  EXPECT_EQ(DefaultThreads({"a"}, {"1"}, Rank{0}), 1);
}

TEST(DefaultThreads, RanksOfANodeShareItsCores) {
  EXPECT_EQ(DefaultThreads({"a", "a"}, {"11111111", "11111111"}, Rank{1}), 4);
  EXPECT_EQ(DefaultThreads({"a", "a", "a"}, {"1111", "1111", "1111"}, Rank{2}), 1);
  EXPECT_EQ(DefaultThreads({"a", "a", "a"}, {"11", "11", "11"}, Rank{0}), 1) << "never none";
}

TEST(DefaultThreads, RanksOfOtherNodesDoNotCount) {
  EXPECT_EQ(DefaultThreads({"a", "b", "a"}, {"1111", "1111", "1111"}, Rank{1}), 4);
  EXPECT_EQ(DefaultThreads({"a", "b", "a"}, {"1111", "1111", "1111"}, Rank{2}), 2);
}

TEST(DefaultThreads, RanksBoundToCoresOfTheirOwnUseAllOfThem) {
  EXPECT_EQ(DefaultThreads({"a", "a"}, {"1110", "0001"}, Rank{0}), 3);
  EXPECT_EQ(DefaultThreads({"a", "a"}, {"1110", "0001"}, Rank{1}), 1);
}

// A batch system's cpuset: 4 cores of 8, the same for both ranks.
TEST(DefaultThreads, RanksOfOneCpusetShareIt) {
  EXPECT_EQ(DefaultThreads({"a", "a"}, {"11110000", "11110000"}, Rank{0}), 2);
}

}  // namespace
}  // namespace trestle
