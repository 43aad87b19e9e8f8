// Hosts are threads here, each with a name, a filesystem and a clock of its own.
#include "launcher/doctor_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "comm/thread_communicator.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using testing::HasSubstr;

class DoctorClusterTest : public testing::Test {
 protected:
  // What all ranks find; `change` may spoil the machine of a rank.
  std::vector<Finding> Examine(const std::function<void(int rank, Machine*)>& change) {
    std::vector<std::vector<Finding>> found(4);
    const Status ran = RunThreadRanks(4, [&](Communicator& comm) -> Status {
      const int rank = comm.rank().value;
      Machine machine = Machine::This();
      machine.host = rank < 2 ? "a" : "b";
      machine.wall_ms = [] { return int64_t{1000}; };
      change(rank, &machine);
      TRESTLE_ASSIGN_OR_RETURN(found[static_cast<size_t>(rank)],
                               ExamineCluster(comm, machine, dir_.path()));
      return {};
    });
    EXPECT_TRUE(ran.ok()) << ran.ToString();
    for (const auto& of_rank : found) EXPECT_EQ(FindingsText(of_rank), FindingsText(found[0]));
    EXPECT_TRUE(FileSystem::Local().List(dir_.path())->empty());
    return found[0];
  }

  static Finding Find(const std::vector<Finding>& findings, const std::string& subject) {
    for (const Finding& finding : findings) {
      if (finding.subject.starts_with(subject)) return finding;
    }
    ADD_FAILURE() << "no finding on " << subject << " in\n" << FindingsText(findings);
    return {};
  }

  TempDir dir_;
};

TEST_F(DoctorClusterTest, RanksFolderAndClocksAreToldOnce) {
  const auto findings = Examine([](int, Machine*) {});
  EXPECT_EQ(Find(findings, "ranks").found, "4 on 2 hosts: a:2 b:2");
  EXPECT_EQ(Find(findings, "shared folder").verdict, Verdict::kOk);
  EXPECT_EQ(Find(findings, "clocks").verdict, Verdict::kOk);
}

TEST_F(DoctorClusterTest, WhatIsWrongWithAHostNamesIt) {
  const auto findings = Examine([](int rank, Machine* machine) {
    machine->address_space.reset();
    if (rank >= 2) machine->address_space = uint64_t{1} << 30;
  });
  EXPECT_EQ(Find(findings, "b: ulimit -v").verdict, Verdict::kProblem);
  EXPECT_THAT(FindingsText(findings), Not(HasSubstr("a: ulimit -v")));
}

// A filesystem that another host does not share: nothing is there.
class ElsewhereFiles : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> Create(const std::string& p) override {
    return disk_.Create(p);
  }
  Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& p) override {
    return disk_.OpenAppend(p);
  }
  Result<std::string> Read(const std::string& p) override { return disk_.Read(p); }
  Result<int64_t> Size(const std::string& p) override { return disk_.Size(p); }
  bool Exists(const std::string& p) override { return !p.ends_with("_shared") && disk_.Exists(p); }
  Status MakeDirectories(const std::string& p) override { return disk_.MakeDirectories(p); }
  Status Rename(const std::string& a, const std::string& b) override { return disk_.Rename(a, b); }
  Status Remove(const std::string& p) override { return disk_.Remove(p); }
  Status SyncDirectory(const std::string& p) override { return disk_.SyncDirectory(p); }
  Result<std::vector<std::string>> List(const std::string& p) override { return disk_.List(p); }
  Result<std::vector<std::string>> Glob(const std::string& p) override { return disk_.Glob(p); }

 private:
  FileSystem& disk_ = FileSystem::Local();
};

TEST_F(DoctorClusterTest, AHostThatDoesNotSeeTheFolderIsAProblem) {
  ElsewhereFiles elsewhere;
  const auto findings = Examine([&](int rank, Machine* machine) {
    if (rank >= 2) machine->files = &elsewhere;
  });
  EXPECT_EQ(Find(findings, "shared folder").verdict, Verdict::kProblem);
  EXPECT_EQ(Find(findings, "shared folder").found, "not seen by b");
  EXPECT_THAT(Find(findings, "shared folder").advice, HasSubstr("checkpoint.store"));
}

TEST_F(DoctorClusterTest, ClocksThatAreApartAreNoted) {
  const auto findings = Examine([](int rank, Machine* machine) {
    if (rank >= 2) machine->wall_ms = [] { return int64_t{4500}; };
  });
  EXPECT_EQ(Find(findings, "clocks").verdict, Verdict::kNote);
  EXPECT_EQ(Find(findings, "clocks").found, "at most 3.500 s apart");
}

}  // namespace
}  // namespace trestle
