#include "launcher/run_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/support/recording_filesystem.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;

FileSystem& Disk() { return FileSystem::Local(); }

std::string Me() { return "pid " + std::to_string(getpid()) + " on host "; }

TEST(RunLock, SecondTakerIsToldWhoHasIt) {
  const TempDir dir;
  const auto first = RunLock::Take(Disk(), dir.path());
  ASSERT_TRUE(first.ok()) << first.status().ToString();
  for (int again = 0; again < 2; ++again) {
    const auto second = RunLock::Take(Disk(), dir.path());
    EXPECT_EQ(second.status().code(), StatusCode::kInUse);
    EXPECT_THAT(second.status().ToString(),
                HasSubstr(dir.path() + " is in use by another run (" + Me()));
    EXPECT_THAT(second.status().ToString(), HasSubstr("; set checkpoint.dir"));
  }
}

TEST(RunLock, IsFreeOnceItsHolderIsGone) {
  const TempDir dir;
  for (int run = 0; run < 3; ++run) {
    dir.Write("lock", "of one that died, whose name was longer than that of the next one will be");
    const auto lock = RunLock::Take(Disk(), dir.path());
    EXPECT_TRUE(lock.ok()) << lock.status().ToString();
    EXPECT_EQ(Disk().Read(dir.Join("lock"))->substr(0, Me().size()), Me());
  }
}

TEST(RunLock, FoldersAreIndependent) {
  const TempDir a, b;
  const auto one = RunLock::Take(Disk(), a.path());
  const auto other = RunLock::Take(Disk(), b.path());
  EXPECT_TRUE(one.ok() && other.ok());
}

TEST(RunLock, FolderThatIsNotThereIsAnError) {
  const auto lock = RunLock::Take(Disk(), "/nowhere/run");
  EXPECT_EQ(lock.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(lock.status().ToString(), HasSubstr("cannot open /nowhere/run/lock: "));
}

TEST(RunLock, WhereThereAreNoLocksTheRunGoesOn) {
  RecordingFileSystem fs;
  ASSERT_TRUE(fs.MakeDirectories("/run").ok());
  const auto first = RunLock::Take(fs, "/run");
  const auto second = RunLock::Take(fs, "/run");
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_THAT(*fs.Read("/run/lock"), HasSubstr(Me()));
}

}  // namespace
}  // namespace trestle
