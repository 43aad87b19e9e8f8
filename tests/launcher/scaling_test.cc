// `trestle bench scaling` over a small shell program in mpirun's place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/filesystem.h"
#include "base/status.h"
#include "launcher/launch/supervised_run.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Scaling : public testing::Test {
 protected:
  Scaling() {
    dir_.Write("config.textproto",
               "data { train: \"t.parquet\" test: \"t.parquet\" label: \"click\" }\n"
               "features { id { columns: \"user\" dim: 4 } }\n"
               "model { base {} }\n"
               "batch { rows: 64 lanes: 2 }\n"
               "train { patience: 3 }\n"
               "checkpoint { dir: \"" +
                   dir_.Join("run") + "\" store: \"" + dir_.Join("store") + "\" }\n");
  }

  // `body` is the fake mpirun: $NP are its ranks; `ran SECONDS DIGEST` leaves what a run of 1000
  // rows in 20 steps would: of a thousand bytes on wires 800 are needed.
  Command Bench(const std::string& np, const std::string& body,
                const std::vector<std::string>& more = {}) {
    const std::string script = dir_.Write(
        "bin/mpirun",
        "#!/bin/bash\n"
        "NP=$2\n"
        "echo \"$@\" >> " +
            dir_.Join("starts") +
            "\n"
            "for a; do [[ $a == *config.textproto ]] && RUN=$(dirname $a); done\n"
            "ran() {\n"
            "  mkdir -p $RUN/checkpoints/step\n"
            "  echo '{\"event\":\"start\",\"command\":\"train\"}' >> $RUN/metrics.jsonl\n"
            "  echo '{\"event\":\"cost\",\"hosts\":1,\"workers\":'$NP',\"threads\":1,\"steps\":20,"
            "\"rows\":1000,\"seconds\":'$1',\"pull_s\":1,\"compute_s\":3,\"needed_bytes\":800,"
            "\"keys_bytes\":100,\"rows_bytes\":900,\"dense_bytes\":5000}' >> $RUN/metrics.jsonl\n"
            "  echo '{\"event\":\"end\",\"digest\":\"'$2'\"}' >> $RUN/metrics.jsonl\n"
            "}\n" +
            body + "\n");
    CHECK_EQ(::chmod(script.c_str(), 0755), 0);
    std::vector<std::string> arguments = {"bench", "scaling", dir_.Join("config.textproto"), "--np",
                                          np};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Command command = JobCommand({1, false, arguments});
    command.env["PATH"] = dir_.Join("bin") + ":" + std::getenv("PATH");
    return command;
  }
  std::string Read(const std::string& name) const {
    return *FileSystem::Local().Read(dir_.Join(name));
  }
  std::string Output(int np) const {
    return "; all it said is in " + dir_.Join("run-scaling/np-") + std::to_string(np) +
           "/output.txt\n";
  }

  TempDir dir_{"scaling"};
};

TEST_F(Scaling, TellsSpeedUpEfficiencySharesAndBytesOfEachSize) {
  const std::string hosts = dir_.Write("hosts", "a slots=4\n");
  const ProcessResult result =
      RunCommand(Bench("4,1,2,2", "case $NP in 1) ran 8 d1;; 2) ran 5 d1;; 4) ran 2.5 d1;; esac",
                       {"--hosts", hosts, "--set", "train.seed=5", "--", "-x", "NAME"}));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("held constant: the rows and the global batch (64 rows in 2 lanes)\n"));
  const std::string bytes = "|       1       1 1.250       5 | ";
  const std::string shares = "|   0.0  25.0    75.0    0.0   0.0    0.0   0.0 ";
  EXPECT_THAT(result.output,
              HasSubstr("    1     1    1        125     1.00  1.00 " + shares + bytes + "d1\n"));
  EXPECT_THAT(result.output, HasSubstr("    2     1    1        200     1.60  0.80 " + shares +
                                       bytes + "equal\n"));
  EXPECT_THAT(result.output, HasSubstr("    4     1    1        400     3.20  0.80 " + shares +
                                       bytes + "equal\n"));

  const std::string run = dir_.Join("run-scaling/np-2/config.textproto");
  EXPECT_THAT(Read("starts"), HasSubstr("-np 2 --hostfile " + hosts + " --bind-to none -x NAME " +
                                        TrestleProgram() + " train " + run + " --fresh\n"));
  EXPECT_EQ(Count(Read("starts"), "\n"), 3) << "a size that is named twice is run once";
  const std::string config = Read("run-scaling/np-2/config.textproto");
  EXPECT_THAT(config, HasSubstr("seed: 5"));
  for (const char* gone : {"test:", "patience", "store"}) EXPECT_THAT(config, Not(HasSubstr(gone)));
  EXPECT_FALSE(FileSystem::Local().Exists(dir_.Join("run-scaling/np-2/checkpoints")));
  EXPECT_FALSE(FileSystem::Local().Exists(dir_.Join("run")))
      << "the config's own run is not touched";

  const auto json = nlohmann::json::parse(Read("run-scaling/scaling.json"));
  EXPECT_EQ(json["mode"], "strong");
  EXPECT_EQ(json["digests_equal"], true);
  EXPECT_EQ(json["sizes"].size(), 3u);
  EXPECT_EQ(json["sizes"][2]["efficiency"], 0.8);
  EXPECT_EQ(json["sizes"][2]["phase_share"]["compute"], 0.75);
  EXPECT_EQ(json["sizes"][2]["wire_bytes_per_sample"]["ratio"], 1.25);
  const std::string svg = Read("run-scaling/scaling.svg");
  for (const char* part : {"<svg xmlns", ">ranks</text>", ">speed-up over 1 rank</text>",
                           ">ideal</text>", ">400/s, 80 %</text>", "</svg>\n"}) {
    EXPECT_THAT(svg, HasSubstr(part));
  }
}

TEST_F(Scaling, AnotherRunReplacesTheResultsOfTheOneBefore) {
  RunCommand(Bench("1", "ran 8 d1"));
  const ProcessResult result = RunCommand(Bench("1", "ran 2 d2"));
  EXPECT_THAT(result.output, HasSubstr("        500     1.00  1.00 "));
}

TEST_F(Scaling, DigestsThatDifferAreAnError) {
  const ProcessResult result = RunCommand(Bench("1,2,4", "ran 1 d$((NP / 4))"));
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kMismatch)) << result.output;
  EXPECT_THAT(result.output, HasSubstr("d1 DIFFERS\n"));
  EXPECT_THAT(result.output,
              HasSubstr("trestle: error: bench scaling: digest d1 at 4 ranks differs from d0 at 1: "
                        "the model must not depend on the number of ranks. Look for a host"));
  EXPECT_EQ(nlohmann::json::parse(Read("run-scaling/scaling.json"))["digests_equal"], false);
}

TEST_F(Scaling, WeakScalingGivesARankTheSameWorkAtEverySize) {
  const ProcessResult result = RunCommand(Bench("1,4", "ran 1 d$NP", {"--weak"}));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("held constant: a worker's part of a step (64 rows in 2 "
                                       "lanes) and the number of steps\nnp 4 ...\nnp 1 ...\n"));
  EXPECT_THAT(Read("run-scaling/np-4/config.textproto"), HasSubstr("rows: 256\n  lanes: 8\n"));
  EXPECT_THAT(Read("run-scaling/np-1/config.textproto"), HasSubstr("rows: 64\n  lanes: 2\n"));
  EXPECT_THAT(Read("run-scaling/np-1/config.textproto"), HasSubstr("max_steps: 20\n"));
  EXPECT_TRUE(nlohmann::json::parse(Read("run-scaling/scaling.json"))["digests_equal"].is_null());
}

TEST_F(Scaling, ASizeThatFailsIsOneLineAndTheOthersGoOn) {
  const ProcessResult result = RunCommand(
      Bench("1,2,4,8",
            "case $NP in\n"
            "2) echo 'trestle: error: rank 1, step 3, pull: peer 0: gone' >&2; exit 9;;\n"
            "4) kill -9 $$;;\n"
            "8) echo '{}' > $RUN/metrics.jsonl;;\n"
            "*) ran 1 d1;; esac"));
  EXPECT_EQ(result.exit_code, 9) << result.output;
  EXPECT_THAT(result.output, HasSubstr("trestle: error: bench scaling: np 2: mpirun ended with "
                                       "code 9: rank 1, step 3, pull: peer 0: gone" +
                                       Output(2)));
  EXPECT_THAT(result.output,
              HasSubstr("bench scaling: np 4: mpirun was killed by signal 9 (Killed)" + Output(4)));
  EXPECT_THAT(result.output, HasSubstr("bench scaling: np 8: "));
  EXPECT_THAT(
      result.output,
      HasSubstr("np-8/metrics.jsonl: does not tell of a training that was done to its end\n"));
  EXPECT_EQ(Count(result.output, "trestle: error: "), 3) << result.output;
  EXPECT_THAT(result.output, HasSubstr("    1     1    1       1000 "));
}

TEST_F(Scaling, AFailureThatEverySizeWouldMeetEndsIt) {
  const ProcessResult result =
      RunCommand(Bench("1,2", "echo 'trestle: error: t.parquet: is empty' >&2; exit 3"));
  EXPECT_EQ(result.exit_code, 3) << result.output;
  EXPECT_EQ(Count(Read("starts"), "\n"), 1);
  EXPECT_EQ(Count(result.output, "trestle: error: "), 1) << result.output;
}

TEST_F(Scaling, WhatMpirunCannotDoIsSaidWithTheCure) {
  const std::pair<const char*, const char*> cases[] = {
      {"There are not enough slots available in the system to satisfy the 2",
       "mpirun has fewer slots than ranks: give hosts more `slots=` in --hosts FILE, or, for more "
       "ranks than cores, set OMPI_MCA_rmaps_base_oversubscribe=1"},
      {"mpirun has detected an attempt to run as root.",
       "mpirun refuses root: set OMPI_ALLOW_RUN_AS_ROOT=1 and OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1, or "
       "use another user"},
      {"ORTE was unable to reliably start one or more daemons.",
       "mpirun could not start its daemon on a host: `ssh HOST true` must work without a password "
       "for each host, and Open MPI be found there at the same path"},
      {"ORTE has lost communication with a remote daemon.",
       "mpirun lost a host: look whether it runs, and which network mpirun takes (`-- --mca "
       "oob_tcp_if_include NETWORK`)"},
      {"mpirun was unable to launch the specified application as it could not access",
       "mpirun does not find trestle on a host: install it at the same path on all hosts, or use a "
       "folder that they share"},
  };
  for (const auto& [said, told] : cases) {
    const ProcessResult result =
        RunCommand(Bench("2", "echo '" + std::string(said) + "' >&2; exit 1"));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kUnsupported)) << result.output;
    EXPECT_THAT(result.output,
                HasSubstr("trestle: error: bench scaling: np 2: " + std::string(told) + Output(2)));
  }
  Command command = Bench("2", "exit 0");
  command.env["PATH"] = dir_.Join("nothing");
  const ProcessResult result = RunCommand(command);
  EXPECT_THAT(result.output, HasSubstr("np 2: cannot start mpirun: No such file or directory\n"));
}

TEST_F(Scaling, CtrlCEndsTheChildAndEverything) {
  Process process(Bench("1,2",
                        "[ $NP = 1 ] && { ran 1 d1; exit; }\n"
                        "set -m; sleep 1000 & echo $! > $RUN/rank\n"
                        "mv $RUN/rank $RUN/up\n"
                        "kill -INT $PPID\n"
                        "wait"));
  const ProcessResult result = process.Wait(Process::Seconds(120));
  EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInterrupted)) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("trestle: error: bench scaling: np 2: stopped on request\n"));
  EXPECT_THAT(result.output, HasSubstr("       1000     1.00  1.00 ")) << "what is known is told";
  EXPECT_NE(::kill(std::stoi(Read("run-scaling/np-2/up")), 0), 0) << "a rank is left";
}

TEST_F(Scaling, AWrongConfigIsAnErrorBeforeAnythingStarts) {
  const auto refused = [&](const std::string& np, const std::vector<std::string>& more) {
    const ProcessResult result = RunCommand(Bench(np, "exit 0", more));
    EXPECT_EQ(result.exit_code, ExitCode(StatusCode::kInvalidConfig)) << result.output;
    EXPECT_FALSE(FileSystem::Local().Exists(dir_.Join("starts")));
    return result.output;
  };
  EXPECT_THAT(refused("1", {"--set", "batch.rows=-1"}), HasSubstr("batch.rows"));
  EXPECT_THAT(refused("0", {}), HasSubstr("--np"));
  EXPECT_THAT(refused("1", {"--hosts", dir_.Join("none")}), HasSubstr("File does not exist"));
  EXPECT_THAT(
      refused("4,2", {"--set", "cluster.servers=2"}),
      HasSubstr("--set cluster.servers=2: bench scaling: 2 servers leave no worker of 2 ranks; "
                "leave the size out of --np\n"));
  EXPECT_THAT(refused("1,4096", {"--weak"}),
              HasSubstr("bench scaling: --weak at 4096 ranks makes it 8192; allowed: 1 to 4096. "
                        "Take fewer lanes, which are those of a rank\n"));
}

TEST(SupervisedRun, KnowsWhenRanksMayBeOnOtherHosts) {
  EXPECT_FALSE(MayRunElsewhere({"mpirun", "-np", "2", "trestle", "train", "hosts.textproto"}));
  for (const char* named : {"--host", "-H", "--hostfile", "-hostfile", "-machinefile"}) {
    EXPECT_TRUE(MayRunElsewhere({"mpirun", named, "x", "trestle"})) << named;
  }
}

}  // namespace
}  // namespace trestle
