// Runs the built program itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ProcessResult Trestle(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(TRESTLE_BINARY_DIR) + "/bin/trestle");
  return RunCommand({arguments, {}, ""});
}

int Lines(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

TEST(CommandLine, HelpEverywhere) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"init"},
                                                          {"train"},
                                                          {"eval"},
                                                          {"prepare"},
                                                          {"prepare", "import"},
                                                          {"doctor"},
                                                          {"config"},
                                                          {"config", "check"},
                                                          {"config", "docs"},
                                                          {"synth"},
                                                          {"synth", "plant"},
                                                          {"synth", "taobao"},
                                                          {"prepare"},
                                                          {"prepare", "taobao"},
                                                          {"bench", "scaling"},
                                                          {"checkpoint"}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--help");
    const ProcessResult result = Trestle(command);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.output, HasSubstr("Usage: "));
  }
  const ProcessResult top = Trestle({"--help"});
  for (const char* name : {"init", "train", "eval", "doctor", "config", "synth", "prepare",
                           "checkpoint", "--version"}) {
    EXPECT_THAT(top.output, HasSubstr(name));
  }
}

TEST(CommandLine, VersionTellsTheBuildsFacts) {
  const ProcessResult result = Trestle({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, StartsWith("trestle "));
  for (const char* fact :
       {"commit", "compiler", "instruction set", "build type", "Open MPI", "Arrow", "oneDNN",
        "LIBXSMM", "glibc", "protobuf", "CUDA           "}) {
    EXPECT_THAT(result.output, HasSubstr(fact));
  }
}

TEST(CommandLine, MistakesAreOneLineThatNamesThemAndTheNearest) {
  const auto expect = [](const std::vector<std::string>& arguments, const std::string& line) {
    const ProcessResult result = Trestle(arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.output, "trestle: error: " + line + "\n");
  };
  expect({"train", "--sett", "a=b", "x"},
         "train: unknown flag \"--sett\"; did you mean \"--set\"? See `trestle train --help`");
  expect({"trian"}, "unknown command \"trian\"; did you mean \"train\"? See `trestle --help`");
  expect({"config", "chek"},
         "config: unknown command \"chek\"; did you mean \"check\"? See `trestle config --help`");
  expect({"config", "check"},
         "config check: CONFIG is required. See `trestle config check --help`");
  expect({"checkpoint", "digest", "a", "b"},
         "checkpoint digest: unexpected argument \"b\"; See `trestle checkpoint digest --help`");
  expect({}, "A subcommand is required. See `trestle --help`");
}

TEST(CommandLine, ConfigCheckTellsAllMistakesAtOnce) {
  const TempDir dir;
  const std::string path = dir.Write("c.textproto", R"(data { train: "t" label: "y" }
features { id { columns: ["a"] dim: 4 } }
model { base { mlp { units: [4] } } }
train { epoch: 1 }
batch { rows: 0 }
)");
  const ProcessResult result = Trestle({"config", "check", path, "--set", "batch.lanes=x"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(Lines(result.output), 3) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("trestle: error: " + path + ":4:9: unknown field \"epoch\""));
  EXPECT_THAT(result.output, HasSubstr("trestle: error: " + path + ":5:15: batch.rows: 0 is out"));
  EXPECT_THAT(result.output,
              HasSubstr("trestle: error: --set batch.lanes=x: batch.lanes: expected an integer"));
}

TEST(CommandLine, ConfigCheckAcceptsAndPrintsTheEffectiveConfig) {
  const TempDir dir;
  const std::string path = dir.Write("c.textproto", R"(data { train: "t" label: "y" }
features { id { columns: ["a"] dim: 4 } }
model { base { mlp { units: [4] } } }
)");
  const ProcessResult ok = Trestle({"config", "check", path});
  EXPECT_EQ(ok.exit_code, 0);
  EXPECT_EQ(ok.output, path + ": ok\n");
  const ProcessResult printed =
      Trestle({"config", "check", path, "--print", "--set", "batch.rows=9"});
  EXPECT_EQ(printed.exit_code, 0);
  EXPECT_THAT(printed.output, HasSubstr("rows: 9\n"));
  EXPECT_THAT(printed.output, HasSubstr("dir: \"runs/c\"\n"));
}

TEST(CommandLine, MissingConfigIsNotFound) {
  for (const char* command : {"train", "eval"}) {
    const ProcessResult result = Trestle({command, "/nowhere/c.textproto"});
    EXPECT_EQ(result.exit_code, 4);
    EXPECT_EQ(Lines(result.output), 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr("/nowhere/c.textproto"));
  }
}

TEST(CommandLine, ConfigDocsPrintsThePage) {
  const ProcessResult result = Trestle({"config", "docs"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("# Config\n"));
}

TEST(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  const std::string program = std::string(TRESTLE_BINARY_DIR) + "/bin/trestle";
  for (const char* arguments : {"config docs", "--version", "digest --help"}) {
    const ProcessResult result =
        RunCommand({{"sh", "-c", program + " " + arguments + " > /dev/full"}, {}, ""});
    EXPECT_EQ(result.exit_code, 5) << arguments;
    EXPECT_EQ(Lines(result.output), 1) << result.output;
    EXPECT_THAT(result.output, StartsWith("trestle: error: standard output: "));
  }
}

TEST(CommandLine, SynthPlantWritesAndReports) {
  const TempDir dir;
  const ProcessResult result = Trestle({"synth", "plant", dir.path(), "--rows", "2000"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("1800 training rows"));
  EXPECT_THAT(result.output, HasSubstr("best possible AUC on 200 test rows"));
}

}  // namespace
}  // namespace trestle
