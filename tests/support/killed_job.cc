#include "tests/support/killed_job.h"

#include <glog/logging.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <utility>

#include "base/filesystem.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The manifest of the newest checkpoint; its name is empty if there is none.
Manifest Newest(const std::string& folder) {
  FileSystem& fs = FileSystem::Local();
  const auto found = ListCheckpoints(fs, folder + "/checkpoints");
  EXPECT_TRUE(found.ok()) << found.status().ToString();
  for (auto it = found->rbegin(); it != found->rend(); ++it) {
    if (!it->complete) continue;
    const auto manifest = ReadManifest(fs, it->path);
    EXPECT_TRUE(manifest.ok()) << manifest.status().ToString();
    return manifest.ok() ? *manifest : Manifest();
  }
  return {};
}

// What each (segment, epoch) that metrics.jsonl says was read to its end had read. Twice where a
// job was killed between an epoch's end and the next checkpoint: then both must agree.
std::map<std::pair<int64_t, int64_t>, std::string> ClosedEpochs(const std::string& folder) {
  std::map<std::pair<int64_t, int64_t>, std::string> closed;
  std::ifstream lines(folder + "/metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object() || event.value("event", "") != "epoch") continue;
    if (!event.value("closed", false)) continue;
    const std::string read = std::to_string(event.value("rows_read", int64_t{-1})) + " read, " +
                             std::to_string(event.value("rows_rejected", int64_t{-1})) +
                             " rejected, hash " + event.value("ledger", "");
    const auto [it, fresh] = closed.emplace(
        std::pair(event.value("segment", int64_t{-1}), event.value("epoch", int64_t{-1})), read);
    EXPECT_TRUE(fresh || it->second == read) << line << "\nbefore: " << it->second;
  }
  return closed;
}

}  // namespace

KilledJob::KilledJob()
    : config_(job_.Config("train { epochs: " + std::to_string(kEpochs) +
                          " } optimizer { embedding { adam { lr: 0.01 } } }\n")) {}

std::vector<std::string> KilledJob::Settings(const std::string& run) const {
  return {"--set", "checkpoint.dir=" + Folder(run), "--set", "batch.rows=64",
          "--set", "checkpoint.every_steps=8",      "--set", "checkpoint.keep=2"};
}

Command KilledJob::Train(const JobShape& shape, const std::string& run,
                         const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"train", config_, "--set",
                                        "cluster.servers=" + std::to_string(shape.servers)};
  for (const auto& part : {Settings(run), more}) {
    arguments.insert(arguments.end(), part.begin(), part.end());
  }
  Command command = JobCommand({shape.ranks, true, arguments});
  // mpirun would wait as many seconds, twice, before it ends the ranks beside a killed one.
  command.env["OMPI_MCA_odls_base_sigkill_timeout"] = "0";
  return command;
}

Command KilledJob::Launch(const JobShape& shape, const std::string& run, int restarts,
                          const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"launch",     config_,
                                        "--np",       std::to_string(shape.ranks),
                                        "--servers",  std::to_string(shape.servers),
                                        "--restarts", std::to_string(restarts),
                                        "--backoff",  "0.01"};
  for (const auto& part : {Settings(run), more}) {
    arguments.insert(arguments.end(), part.begin(), part.end());
  }
  Command command = JobCommand({1, false, arguments});
  command.env = Train(shape, run).env;
  return command;
}

void KilledJob::Forget(const std::string& run) const { std::filesystem::remove_all(Folder(run)); }

uint64_t KillSeed() {
  const char* given = std::getenv("TRESTLE_KILL_SEED");
  return given != nullptr ? std::stoull(given) : std::random_device()();
}

void ExpectSameEnd(const std::string& undisturbed_folder, const std::string& folder) {
  const Manifest expected = Newest(undisturbed_folder), found = Newest(folder);
  EXPECT_TRUE(found.finished()) << found.name();
  EXPECT_EQ(found.digest(), expected.digest());
  EXPECT_EQ(found.cursor().SerializeAsString(), expected.cursor().SerializeAsString())
      << found.cursor().DebugString() << "expected\n"
      << expected.cursor().DebugString();
  ASSERT_EQ(found.ledger_size(), expected.ledger_size());
  for (int i = 0; i < found.ledger_size(); ++i) {
    EXPECT_EQ(found.ledger(i).DebugString(), expected.ledger(i).DebugString());
  }
  EXPECT_GT(found.ledger_size(), 0);
  EXPECT_EQ(ClosedEpochs(folder), ClosedEpochs(undisturbed_folder));
}

std::chrono::milliseconds TimeOf(const Command& command) {
  const auto begin = SteadyClock::now();
  const ProcessResult result = RunCommand(command);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begin);
}

void AdoptOrphans() { PCHECK(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); }

void ExpectOrphansEnd() {
  const auto deadline = SteadyClock::now() + std::chrono::seconds(30);
  while (true) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended < 0 && errno == ECHILD) return;
    if (ended > 0) continue;
    ASSERT_LT(SteadyClock::now(), deadline) << "a rank outlives its mpirun";
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace trestle
