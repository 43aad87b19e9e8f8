#include "worker/run_log.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/fake_clock.h"
#include "tests/support/fault_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

std::string ReadAll(const std::string& path) { return *FileSystem::Local().Read(path); }

TEST(RunLog, WritesOneObjectALineWithEventAndTimeFirst) {
  TempDir dir;
  FakeClock clock;
  clock.Advance(100);  // times count from the start of the log
  auto log = RunLog::Open(FileSystem::Local(), dir.Join("metrics.jsonl"), clock);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Write("start", {{"ranks", int64_t{2}}}).ok());
  clock.Advance(1.5);
  ASSERT_TRUE(
      (*log)->Write("eval", {{"auc", 0.75}, {"set", std::string("te\"st")}, {"ok", true}}).ok());
  EXPECT_EQ(ReadAll(dir.Join("metrics.jsonl")),
            "{\"event\":\"start\",\"time_s\":0.0,\"ranks\":2}\n"
            "{\"event\":\"eval\",\"time_s\":1.5,\"auc\":0.75,\"set\":\"te\\\"st\",\"ok\":true}\n");
}

TEST(RunLog, WhatIsNotFiniteIsNull) {
  EXPECT_EQ(RunLog::ToJson({{"a", std::nan("")},
                            {"b", std::numeric_limits<double>::infinity()},
                            {"c", -std::numeric_limits<double>::infinity()}}),
            "{\"a\":null,\"b\":null,\"c\":null}");
}

TEST(RunLog, IntegersKeepAllTheirDigits) {
  EXPECT_EQ(RunLog::ToJson({{"rows", std::numeric_limits<int64_t>::max()}}),
            "{\"rows\":9223372036854775807}");
}

TEST(RunLog, BytesThatAreNoUtf8AreReplaced) {
  EXPECT_EQ(RunLog::ToJson({{"path", std::string("a\xff")}}), "{\"path\":\"a\xEF\xBF\xBD\"}");
}

TEST(RunLog, ASecondRunAppends) {
  TempDir dir;
  FakeClock clock;
  for (int run = 0; run < 2; ++run) {
    auto log = RunLog::Open(FileSystem::Local(), dir.Join("metrics.jsonl"), clock);
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE((*log)->Write("start", {{"run", int64_t{run}}}).ok());
  }
  EXPECT_EQ(ReadAll(dir.Join("metrics.jsonl")),
            "{\"event\":\"start\",\"time_s\":0.0,\"run\":0}\n"
            "{\"event\":\"start\",\"time_s\":0.0,\"run\":1}\n");
}

TEST(RunLog, AnEmptyPathWritesNowhere) {
  FakeClock clock;
  FaultFileSystem fs(FileSystem::Local(), {.fail_call = 1});
  auto log = RunLog::Open(fs, "", clock);
  ASSERT_TRUE(log.ok());
  EXPECT_TRUE((*log)->Write("start", {}).ok());
  EXPECT_EQ(fs.calls(), 0);
}

TEST(RunLog, AFileThatCannotBeOpenedIsAnError) {
  TempDir dir;
  FakeClock clock;
  EXPECT_FALSE(RunLog::Open(FileSystem::Local(), dir.Join("no/folder/x.jsonl"), clock).ok());
}

TEST(RunLog, ALineThatWasWrittenInPartDoesNotSpoilTheNext) {
  TempDir dir;
  FakeClock clock;
  // Call 1 opens, 2 writes, 3 writes 5 bytes and fails, 4 writes.
  FaultFileSystem fs(FileSystem::Local(), {.fail_call = 3, .only_once = true, .short_write = 5});
  auto log = RunLog::Open(fs, dir.Join("x.jsonl"), clock);
  ASSERT_TRUE(log.ok());
  EXPECT_TRUE((*log)->Write("a", {}).ok());
  EXPECT_FALSE((*log)->Write("b", {}).ok());
  EXPECT_TRUE((*log)->Write("c", {}).ok());
  EXPECT_EQ(ReadAll(dir.Join("x.jsonl")),
            "{\"event\":\"a\",\"time_s\":0.0}\n"
            "{\"eve\n"
            "{\"event\":\"c\",\"time_s\":0.0}\n");
}

}  // namespace
}  // namespace trestle
