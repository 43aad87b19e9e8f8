// A disk that gets full while a checkpoint is written, a small tmpfs under a real training: the
// checkpoint fails alone, that is said once and counted, and with space there again the next one
// succeeds. The training ends as one that never saw it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/status.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "tests/support/small_job.h"

namespace trestle {
namespace {

constexpr char kMark[] = "mounted\n";

// A tmpfs in a mount namespace of its own, for as long as this lives.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)), holder_(Holder(path_)) {
    mounted_ = holder_.WaitForOutput(kMark);
  }
  bool mounted() const { return mounted_; }
  // Why it is not.
  std::string Reason() { return holder_.Wait().output; }

  const std::string& path() const { return path_; }  // in the namespace
  // The same from outside.
  std::string Outside(const std::string& path) const {
    return "/proc/" + std::to_string(holder_.pid()) + "/root" + path;
  }
  // The command, where the disk is.
  Command Inside(Command command) const {
    std::vector<std::string> argv = {"nsenter", "-m", "-t", std::to_string(holder_.pid())};
    if (::geteuid() != 0) argv.insert(argv.end(), {"-U", "--preserve-credentials"});
    command.argv.insert(command.argv.begin(), argv.begin(), argv.end());
    return command;
  }

  // Fills it, but for so many bytes.
  void FillUpTo(int64_t room) const {
    std::ofstream out(Filler(), std::ios::app | std::ios::binary);
    const std::string page(4096, 'x');
    while (out.good() && Free() > room) out.write(page.data(), 4096).flush();
  }
  void Empty() const { std::filesystem::remove(Filler()); }

 private:
  static Command Holder(const std::string& path) {
    Command command;
    command.argv = {
        "unshare",
        ::geteuid() == 0 ? "-m" : "-rm",
        "sh",
        "-c",
        "mount -t tmpfs -o size=6m none \"$0\" && printf mounted\\\\n && exec sleep 900",
        path};
    return command;
  }
  int64_t Free() const {
    struct statvfs disk {};
    PCHECK(::statvfs(Outside(path_).c_str(), &disk) == 0);
    return static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
  }
  std::string Filler() const { return Outside(path_ + "/filler"); }

  const std::string path_;
  Process holder_;
  bool mounted_ = false;
};

using ::testing::HasSubstr;

// "checkpoint NAME FAILED, ..." and "checkpoint NAME  1.2 MB in ..." of what a job printed.
struct Said {
  std::vector<std::string> failed, complete;
};

Said SaidOf(const std::string& output) {
  Said said;
  std::istringstream lines(output.substr(0, output.rfind('\n') + 1));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, name, third;
    words >> first >> name >> third;
    if (first != "checkpoint") continue;
    (third == "FAILED," ? said.failed : said.complete).push_back(name);
  }
  return said;
}

class FullDisk : public testing::Test {
 protected:
  FullDisk() { std::filesystem::create_directories(disk_path_); }

  std::vector<std::string> Arguments(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"train", config_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<std::string> OnDisk(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"--set", "checkpoint.dir=" + disk_path_ + "/run"};
    all.insert(all.end(), more.begin(), more.end());
    return Arguments(all);
  }

  // Pumps the job's output until `done`, with `between` in between.
  static bool Until(Process* job, const std::function<bool(const Said&)>& done,
                    const std::function<void()>& between) {
    const auto deadline = std::chrono::steady_clock::now() + Process::Seconds(120);
    while (!done(SaidOf(job->output()))) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      between();
      const size_t before = job->output().size();
      (void)job->WaitForOutput("\1 no program prints this", Process::Seconds(0));
      if (job->output().size() == before) ::usleep(1000);
    }
    return true;
  }

  void ExpectOnlyGoodOnes(const SmallDisk& disk) const {
    const auto found =
        ListCheckpoints(FileSystem::Local(), disk.Outside(disk_path_ + "/run/checkpoints"));
    ASSERT_TRUE(found.ok());
    EXPECT_GE(found->size(), 1u);
    for (const FoundCheckpoint& checkpoint : *found) {
      EXPECT_TRUE(checkpoint.complete) << checkpoint.path << " is half written";
      const auto reader = CheckpointReader::Open(FileSystem::Local(), checkpoint.path);
      ASSERT_TRUE(reader.ok()) << reader.status().ToString();
      EXPECT_TRUE((*reader)->Verify().ok()) << (*reader)->Verify().ToString();
    }
  }

  // Some failures are in the log, and the newest line knows of all of them.
  void ExpectCounted(const SmallDisk& disk, const Said& said) const {
    std::ifstream in(disk.Outside(disk_path_ + "/run/metrics.jsonl"));
    std::set<std::string> failed;
    int64_t failed_so_far = 0;
    for (std::string line; std::getline(in, line);) {
      const auto event = nlohmann::json::parse(line, nullptr, false);
      if (event.is_discarded() || event.value("event", "") != "checkpoint") continue;
      failed_so_far = event["failed_so_far"];
      if (event["complete"] == true) continue;
      EXPECT_NE(event["error"].get<std::string>(), "");
      failed.insert(event["name"]);
    }
    EXPECT_EQ(failed_so_far, static_cast<int64_t>(said.failed.size()));
    EXPECT_FALSE(failed.empty());
    for (const std::string& name : failed) {
      EXPECT_EQ(std::count(said.failed.begin(), said.failed.end(), name), 1) << name;
    }
  }

  const SmallJob small_;
  const std::string config_ = small_.Config();
  const std::string disk_path_ = small_.dir().Join("disk");
};

TEST_F(FullDisk, FailsTheCheckpointAndNotTheTraining) {
  for (const auto& [ranks, mpirun, servers] :
       std::vector<std::tuple<int, bool, int>>{{1, false, 0}, {3, true, 1}}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(servers) + " servers");
    SmallDisk disk(disk_path_);
    if (!disk.mounted()) GTEST_SKIP() << "no tmpfs can be mounted here: " << disk.Reason();
    const std::string roles = "cluster.servers=" + std::to_string(servers);
    Process job(disk.Inside(JobCommand(
        {ranks, mpirun,
         OnDisk({"--set", "train.epochs=1000000", "--set", "checkpoint.every_steps=40", "--set",
                 "checkpoint.keep=2", "--set", "data.test=[]", "--set", roles})})));
    ASSERT_TRUE(Until(
        &job, [](const Said& said) { return said.complete.size() >= 2; }, [] {}))
        << job.output();

    // First with room for some lines of the log, then without any.
    for (const int64_t room : {int64_t{100} << 10, int64_t{0}}) {
      const size_t before = SaidOf(job.output()).failed.size();
      ASSERT_TRUE(Until(
          &job, [&](const Said& said) { return said.failed.size() >= before + 2; },
          [&] { disk.FillUpTo(room); }))
          << job.output();
    }
    const std::string last_good = SaidOf(job.output()).complete.back();
    EXPECT_TRUE(std::filesystem::exists(
        disk.Outside(disk_path_ + "/run/checkpoints/" + last_good + "/MANIFEST.json")));

    disk.Empty();
    const size_t complete = SaidOf(job.output()).complete.size();
    ASSERT_TRUE(Until(
        &job, [&](const Said& said) { return said.complete.size() > complete; }, [] {}))
        << job.output();
    job.Signal(mpirun ? SIGUSR2 : SIGTERM);
    const ProcessResult stopped = job.Wait();
    EXPECT_EQ(stopped.exit_code, ExitCode(StatusCode::kInterrupted)) << stopped.output;

    const Said said = SaidOf(stopped.output);
    EXPECT_EQ(std::set(said.failed.begin(), said.failed.end()).size(), said.failed.size())
        << "said twice";
    EXPECT_THAT(stopped.output, HasSubstr("No space left"));
    ExpectOnlyGoodOnes(disk);
    ExpectCounted(disk, said);

    // The next epoch's end, from there and without all that.
    const int64_t step = std::stoll(LineAfter(stopped.output, "(step "));
    const std::string epochs = "train.epochs=" + std::to_string(step / 16 + 1);
    const ProcessResult rest =
        RunCommand(disk.Inside(JobCommand({ranks, mpirun,
                                           OnDisk({"--resume", "latest", "--set", epochs, "--set",
                                                   "data.test=[]", "--set", roles})})));
    const ProcessResult alone = RunCommand(
        JobCommand({1, false, Arguments({"--fresh", "--set", epochs, "--set", "data.test=[]"})}));
    EXPECT_EQ(LineAfter(rest.output, "\ndigest ").size(), 16u) << rest.output;
    EXPECT_EQ(LineAfter(rest.output, "\ndigest "), LineAfter(alone.output, "\ndigest "));
  }
}

// The job is stopped while nothing can be written, with a checkpoint in flight.
TEST_F(FullDisk, ToTheEndIsSaidAndTheCodeOfTheJob) {
  SmallDisk disk(disk_path_);
  if (!disk.mounted()) GTEST_SKIP() << "no tmpfs can be mounted here: " << disk.Reason();
  Process job(
      disk.Inside(JobCommand({1, false,
                              OnDisk({"--set", "train.epochs=1000000", "--set",
                                      "checkpoint.every_steps=1", "--set", "data.test=[]"})})));
  ASSERT_TRUE(Until(
      &job, [](const Said& said) { return !said.complete.empty(); }, [] {}))
      << job.output();
  ASSERT_TRUE(Until(
      &job, [](const Said& said) { return said.failed.size() >= 2; }, [&] { disk.FillUpTo(0); }))
      << job.output();
  job.Signal(SIGTERM);
  const ProcessResult stopped = job.Wait();
  EXPECT_EQ(stopped.exit_code, ExitCode(StatusCode::kIoError)) << stopped.output;
  EXPECT_THAT(stopped.output, HasSubstr("FAILED, training goes on: "));
  EXPECT_THAT(stopped.output, HasSubstr("FAILED, the one at the end is still to be written: "));
  EXPECT_THAT(stopped.output,
              HasSubstr("FAILED, what was trained since the one before is not saved: "));
  EXPECT_THAT(stopped.output, HasSubstr("trestle: error: the model could not be saved: "));
  ExpectOnlyGoodOnes(disk);
}

}  // namespace
}  // namespace trestle
