// `trestle checkpoint ls`, `show`, `verify` and `digest`, and all of them on the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/text.h"
#include "tests/launcher/checkpoint_model.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(CheckpointText, CountsBytesAndTables) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(-1000), "-1,000");
  EXPECT_EQ(CountText(-100), "-100");
  EXPECT_EQ(CountText(12'345'678), "12,345,678");
  EXPECT_EQ(CountText(1, "row"), "1 row");
  EXPECT_EQ(CountText(1000, "row"), "1,000 rows");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(999'960), "1.0 MB");
  EXPECT_EQ(BytesText(5'640'000'000), "5.6 GB");
  TextTable table("lrl", {"A", "B", "C"});
  table.Add({"xx", "1", "last"});
  table.Add({"x", "12", ""});
  std::ostringstream out;
  table.Print(out, " ");
  EXPECT_EQ(out.str(), " A    B  C\n xx   1  last\n x   12  \n");
}

class CheckpointCommands : public ::testing::Test {
 protected:
  CheckpointCommands() {
    for (const CheckpointName& name : {CheckpointName{10, 1}, {20, 1}}) {
      WriteCheckpoint(fs_, Folder(), SmallModel(name.step), name, 2);
    }
    const CheckpointName base{10, 1};
    WriteCheckpoint(fs_, Folder(), SmallModel(10), {15, 2}, 1, &base);
  }
  std::string Run() const { return dir_.Join("run"); }
  std::string Folder() const { return dir_.Join("run/checkpoints"); }
  std::string Path(const std::string& name) const { return Folder() + "/" + name; }
  // Flips a bit in the middle of a checkpoint's file.
  void Damage(const std::string& name, const std::string& file) {
    std::string bytes = fs_.Read(Path(name) + "/" + file).value();
    bytes[bytes.size() / 2] ^= 1;
    dir_.Write("run/checkpoints/" + name + "/" + file, bytes);
  }
  ProcessResult Trestle(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", "checkpoint"});
    return RunCommand({arguments, {}, ""});
  }

  FileSystem& fs_ = FileSystem::Local();
  TempDir dir_{"commands"};
  std::ostringstream out_;
};

TEST_F(CheckpointCommands, ListIsNewestFirstAndTellsWhatIsBroken) {
  dir_.Write("run/checkpoints/step-00000030.2/dense.safetensors", "");
  Damage("step-00000020.1", kManifestName);
  ASSERT_TRUE(ListCommand(fs_, Run(), false, out_).ok());
  std::istringstream lines(out_.str());
  std::string header, incomplete, delta, broken, full, none;
  std::getline(lines, header);
  std::getline(lines, incomplete);
  std::getline(lines, delta);
  std::getline(lines, broken);
  std::getline(lines, full);
  EXPECT_FALSE(std::getline(lines, none)) << none;
  EXPECT_THAT(header, ContainsRegex("NAME +STEP +SEGMENT +EPOCH +KIND +ROWS +SIZE +DIGEST +STATE"));
  EXPECT_THAT(incomplete, ContainsRegex("^step-00000030.2 +30 .* incomplete$"));
  EXPECT_THAT(delta, ContainsRegex("^step-00000015.2 +15 +0 +1 +delta of step-00000010.1 +350 "));
  EXPECT_THAT(broken, ContainsRegex("^step-00000020.1 +20 .*MANIFEST.json: "));
  EXPECT_THAT(full, ContainsRegex("^step-00000010.1 +10 +0 +1 +full +350 +[0-9.]+ kB +[0-9a-f]+ +"
                                  "complete$"));
}

TEST_F(CheckpointCommands, ListAndShowTellWhichIsTheBest) {
  Manifest newest = ReadManifest(fs_, Path("step-00000015.2")).value();
  EvaluationRecord& record = *newest.mutable_evaluations();
  record.set_metric("AUC of test");
  record.set_step(15);
  record.set_best_step(10);
  record.set_best_value(0.75);
  record.set_since_best(1);
  record.set_checkpoint("step-00000010.1");
  ASSERT_TRUE(WriteManifest(fs_, Path("step-00000015.2"), newest).ok());
  ASSERT_TRUE(ListCommand(fs_, Run(), false, out_).ok());
  EXPECT_THAT(out_.str(), ContainsRegex("step-00000010.1 [^\n]* complete, best\n"));
  EXPECT_THAT(out_.str(), Not(ContainsRegex("step-00000015.2 [^\n]* best\n")));
  out_.str("");
  ASSERT_TRUE(ListCommand(fs_, Folder(), true, out_).ok());
  const auto list = nlohmann::json::parse(out_.str());
  EXPECT_EQ(list.front()["best"], false);
  EXPECT_EQ(list.back()["best"], true);
  out_.str("");
  ASSERT_TRUE(ShowCommand(fs_, Run(), ShowWhat::kFacts, out_).ok());
  EXPECT_THAT(out_.str(), HasSubstr("best         step 10, AUC of test 0.750000 (1 evaluation "
                                    "since): step-00000010.1\n"));
  out_.str("");
  ASSERT_TRUE(DigestCommand(fs_, Run() + "/best", out_).ok());
  EXPECT_THAT(out_.str(), HasSubstr(ReadManifest(fs_, Path("step-00000010.1")).value().digest()));
}

TEST_F(CheckpointCommands, ListForMachines) {
  Damage("step-00000020.1", kManifestName);
  ASSERT_TRUE(ListCommand(fs_, Folder(), true, out_).ok());
  const auto list = nlohmann::json::parse(out_.str());
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]["name"], "step-00000015.2");
  EXPECT_EQ(list[0]["base"], "step-00000010.1");
  EXPECT_EQ(list[0]["rows"], 350);
  EXPECT_EQ(list[0]["path"], Path("step-00000015.2"));
  EXPECT_TRUE(list[1].contains("error"));
  EXPECT_EQ(list[2]["base"], "");
}

TEST_F(CheckpointCommands, ListOfNothingAndOfACheckpoint) {
  const TempDir empty;
  ASSERT_TRUE(ListCommand(fs_, empty.path(), false, out_).ok());
  EXPECT_EQ(out_.str(), "no checkpoints in " + empty.path() + "\n");
  EXPECT_EQ(ListCommand(fs_, Path("step-00000010.1"), false, out_).code(),
            StatusCode::kInvalidConfig);
  EXPECT_EQ(ListCommand(fs_, dir_.Join("no"), false, out_).code(), StatusCode::kNotFound);
}

TEST_F(CheckpointCommands, ShowTellsFactsConfigAndManifest) {
  ASSERT_TRUE(ShowCommand(fs_, Run(), ShowWhat::kFacts, out_).ok());
  for (const char* fact : {"kind         delta of step-00000010.1: rows touched after step 10",
                           "step 10; segment 0, epoch 1 of it, step 5", "2 workers, 1 server",
                           "2 tensors, 9 values", "dense.safetensors", "[0, 65,536)"}) {
    EXPECT_THAT(out_.str(), HasSubstr(fact));
  }
  EXPECT_THAT(out_.str(), ContainsRegex("item +4 +adagrad +4 +300 "));
  out_.str("");
  ASSERT_TRUE(ShowCommand(fs_, Run(), ShowWhat::kConfig, out_).ok());
  EXPECT_EQ(out_.str(), SmallModel(10).config);
  out_.str("");
  ASSERT_TRUE(ShowCommand(fs_, Run(), ShowWhat::kManifest, out_).ok());
  EXPECT_EQ(out_.str(), fs_.Read(Path("step-00000015.2") + "/" + kManifestName).value());
}

TEST_F(CheckpointCommands, VerifyCountsAllThatIsRead) {
  ASSERT_TRUE(VerifyCommand(fs_, Path("step-00000010.1"), false, out_).ok());
  EXPECT_THAT(out_.str(), ContainsRegex("step-00000010.1: ok: 6 files, [0-9.]+ kB, 350 rows\n"));
  out_.str("");
  ASSERT_TRUE(VerifyCommand(fs_, Run(), false, out_).ok());
  EXPECT_THAT(out_.str(), ContainsRegex("step-00000015.2: ok: 10 files, [0-9.]+ kB, 350 rows\n"));
}

TEST_F(CheckpointCommands, VerifyAllNamesEachBadOne) {
  Damage("step-00000010.1", kDenseFileName);  // which the delta stands on
  dir_.Write("run/checkpoints/step-00000030.2/dense.safetensors", "");
  const Status status = VerifyCommand(fs_, Run(), true, out_);
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_THAT(status.root_message(), ContainsRegex("step-00000010.1.*\n.*step-00000015.2.*\n"));
  EXPECT_THAT(out_.str(), HasSubstr("step-00000010.1: bad\n"));
  EXPECT_THAT(out_.str(), HasSubstr("step-00000020.1: ok: "));
  EXPECT_THAT(out_.str(), HasSubstr("step-00000015.2: bad\n"));
  EXPECT_THAT(out_.str(), HasSubstr("step-00000030.2: incomplete, not verified\n"));
}

TEST_F(CheckpointCommands, DigestIsThatOfTheVerifiedModel) {
  ASSERT_TRUE(DigestCommand(fs_, Path("step-00000020.1"), out_).ok());
  EXPECT_EQ(out_.str(), ManifestOf(SmallModel(20), {20, 1}, 2).digest() + "\n");
  out_.str("");
  Damage("step-00000020.1", ShardFileName("item", 1, 2));
  EXPECT_EQ(DigestCommand(fs_, Path("step-00000020.1"), out_).code(), StatusCode::kCorrupt);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CheckpointCommands, OnTheCommandLine) {
  for (const char* name : {"ls", "show", "verify", "digest", "diff", "export", "compact"}) {
    const ProcessResult help = Trestle({name, "--help"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.output, HasSubstr("Usage: "));
  }
  const std::string a = Path("step-00000010.1"), b = Path("step-00000020.1");
  EXPECT_EQ(Trestle({"ls", Run()}).exit_code, 0);
  EXPECT_EQ(Trestle({"ls", Run(), "--json"}).exit_code, 0);
  EXPECT_EQ(Trestle({"show", Run(), "--config"}).output, SmallModel(10).config);
  EXPECT_EQ(Trestle({"verify", Run(), "--all"}).exit_code, 0);
  EXPECT_EQ(Trestle({"diff", a, a}).exit_code, 0);
  EXPECT_EQ(Trestle({"diff", a, b}).exit_code, 8);
  EXPECT_EQ(Trestle({"diff", a, dir_.Join("no")}).exit_code, 4);
  const ProcessResult exported = Trestle({"export", a, "--format", "npy", "--output",
                                          dir_.Join("npy"), "--table", "item", "--table", "user"});
  EXPECT_EQ(exported.exit_code, 0) << exported.output;
  EXPECT_TRUE(fs_.Exists(dir_.Join("npy/user/keys.npy")));
  EXPECT_EQ(Trestle({"compact", Run(), "--output", dir_.Join("full")}).exit_code, 0);
  EXPECT_EQ(Trestle({"digest", dir_.Join("full")}).output, Trestle({"digest", a}).output);
  Damage("step-00000010.1", kDenseFileName);
  const ProcessResult bad = Trestle({"verify", a});
  EXPECT_EQ(bad.exit_code, 6);
  EXPECT_THAT(bad.output, StartsWith("trestle: error: "));
  EXPECT_THAT(bad.output, HasSubstr(a + "/dense.safetensors"));
}

TEST_F(CheckpointCommands, MistakesOnTheCommandLineEndWith2) {
  const auto expect = [&](const std::vector<std::string>& arguments, const std::string& text) {
    const ProcessResult result = Trestle(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  };
  expect({}, "subcommand is required");
  expect({"list", Run()}, "unknown command \"list\"");
  expect({"show"}, "DIR is required");
  expect({"show", Run(), "--config", "--json"}, "--json");
  expect({"diff", Run()}, "B is required");
  expect({"export", Run(), "--format", "npy"}, "--output is required");
  expect({"export", Run(), "--format", "csv", "--output", dir_.Join("x")}, "--format csv: unknown");
  expect({"compact", Run()}, "--output is required");
  expect({"verify", Run(), "--al"}, "did you mean \"--all\"?");
}

}  // namespace
}  // namespace trestle
