// Holds docs/errors.md to the program: every message in it is one that a test demands, and its
// table of exit codes is that of base/status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/structure/messages.h"

namespace trestle {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Read(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Document() { return Read(fs::path(TRESTLE_SOURCE_DIR) / "docs" / "errors.md"); }

// Those of all tests but these, which hold samples.
std::vector<std::string> LiteralsOfTests() {
  std::vector<std::string> all;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(TRESTLE_SOURCE_DIR) / "tests")) {
    const std::string folder = entry.path().parent_path().filename();
    if (entry.path().extension() != ".cc" || folder == "structure" || folder == "bench") continue;
    for (std::string& literal : StringLiterals(Read(entry.path()))) {
      all.push_back(std::move(literal));
    }
  }
  return all;
}

int Words(const std::string& text) {
  return 1 + static_cast<int>(std::count(text.begin(), text.end(), ' '));
}

bool HoldsInOrder(const std::string& literal, const std::vector<std::string>& fragments) {
  size_t at = 0;
  for (const std::string& fragment : fragments) {
    at = literal.find(fragment, at);
    if (at == std::string::npos) return false;
    at += fragment.size();
  }
  return true;
}

// The fragments of three words and more are each in a literal; where there are none, all fragments
// are in one.
bool IsDemanded(const std::string& message, const std::vector<std::string>& literals) {
  const std::vector<std::string> fragments = Fragments(message);
  const auto in_one = [&](const std::vector<std::string>& parts) {
    return std::any_of(literals.begin(), literals.end(),
                       [&](const std::string& literal) { return HoldsInOrder(literal, parts); });
  };
  bool has_long = false;
  for (const std::string& fragment : fragments) {
    if (Words(fragment) < 3) continue;
    has_long = true;
    if (!in_one({fragment})) return false;
  }
  return has_long || in_one(fragments);
}

TEST(Errors, EveryMessageOfTheDocumentIsDemandedByATest) {
  const std::vector<std::string> literals = LiteralsOfTests();
  const std::vector<Message> messages = DocumentedMessages(Document());
  EXPECT_GT(messages.size(), 100) << "too few to be the whole document";
  EXPECT_GT(literals.size(), 1000) << "too few to be those of all tests";
  for (const Message& message : messages) {
    EXPECT_TRUE(IsDemanded(message.text, literals))
        << "docs/errors.md:" << message.line << ": no test demands `" << message.text << "`, of it "
        << ::testing::PrintToString(Fragments(message.text));
  }
}

TEST(Errors, ExitCodesOfTheDocumentAreThoseOfStatus) {
  const std::map<StatusCode, std::string> kinds = {
      {StatusCode::kOk, "success"},
      {StatusCode::kInternal, "internal error"},
      {StatusCode::kInvalidConfig, "command line or config"},
      {StatusCode::kInvalidData, "what an input file holds"},
      {StatusCode::kNotFound, "not found"},
      {StatusCode::kIoError, "input/output error"},
      {StatusCode::kCorrupt, "corrupt file"},
      {StatusCode::kNumeric, "numeric error"},
      {StatusCode::kMismatch, "ranks differ"},
      {StatusCode::kPeerFailed, "peer failed"},
      {StatusCode::kDeadlineExceeded, "deadline exceeded"},
      {StatusCode::kOutOfMemory, "out of memory"},
      {StatusCode::kUnsupported, "unsupported"},
      {StatusCode::kInUse, "in use"},
      {StatusCode::kInterrupted, "interrupted"},
  };
  std::map<int, std::string> expected;
  for (const auto& [code, kind] : kinds) expected[ExitCode(code)] = kind;
  for (int code = 0; code < 256; ++code) {
    EXPECT_EQ(StatusCodeName(static_cast<StatusCode>(code)) != "unknown", expected.contains(code))
        << code;
  }

  std::map<int, std::string> documented;
  const std::string document = Document();
  static const std::regex row("\n[|] ([0-9]+) [|] ([^|]+) [|]");
  for (std::sregex_iterator i(document.begin(), document.end(), row), end; i != end; ++i) {
    const bool is_new = documented.emplace(std::stoi((*i)[1]), (*i)[2]).second;
    EXPECT_TRUE(is_new) << (*i)[1] << " is listed twice";
  }
  EXPECT_EQ(documented, expected);
}

TEST(Errors, MessagesAreFoundInTheDocument) {
  const std::vector<Message> found = DocumentedMessages(
      "Run `trestle launch` to try it once.\n"
      "It may say `the table is too small for it`, or `no`.\n"
      "\n"
      "| Message | Code | Meaning |\n"
      "| --- | --- | --- |\n"
      "| `a.csv: is empty`; ``no `x` here`` | 3 | Set `data.train`. |\n"
      "\n"
      "| Code | Kind | Messages |\n"
      "| 3 | data | `data`, `label 2 is not 0 or 1` |\n"
      "\n"
      "Reasons in `a file`: `is a\nb`.\n");
  std::vector<std::string> texts;
  for (const Message& message : found) texts.push_back(message.text);
  EXPECT_THAT(texts, ElementsAre("the table is too small for it", "a.csv: is empty", "no `x` here",
                                 "label 2 is not 0 or 1", "a file", "is a b"));
  EXPECT_EQ(found[1].line, 6);
}

TEST(Errors, MessagesAreCutAtTheirSampleValues) {
  EXPECT_THAT(Fragments("has 19 fields, expected 20"), ElementsAre("has", "fields, expected"));
  EXPECT_THAT(Fragments("c.textproto:7:11: train.epochs: expected an integer, found \"two\""),
              ElementsAre("train.epochs: expected an integer, found"));
  EXPECT_THAT(Fragments("out/x.csv: exists; name another ..."),
              ElementsAre("exists; name another"));
  EXPECT_THAT(Fragments("is not UTF-8"), ElementsAre("is not UTF-8"));
  EXPECT_THAT(Fragments("..., \"x\""), IsEmpty());
}

TEST(Errors, LiteralsAreReadFromASource) {
  EXPECT_THAT(
      StringLiterals("f(\"a \\\"b\\\"\\n\"  // \"comment\"\n  \"c\", \"d\", '\"', 1'0, \"e\");"),
      ElementsAre("a \"b\"\nc", "d", "e"));
  EXPECT_THAT(StringLiterals("R\"x(a \"b\" )x\" + \"c\""), ElementsAre("a \"b\" ", "c"));
}

TEST(Errors, AMessageThatIsOnlyResembledIsNotDemanded) {
  const std::string message = "has 19 fields, expected 20";
  EXPECT_TRUE(IsDemanded(message, {"x", "line 7: has 2 fields, expected 3"}));
  EXPECT_FALSE(IsDemanded(message, {"has 2", "2 fields, expected 3"}));
  EXPECT_TRUE(IsDemanded("a.csv: is not here; say what it is", {"is not here; say what it is"}));
  EXPECT_FALSE(IsDemanded("a.csv: is not here; say what it is", {"is not here"}));
}

}  // namespace
}  // namespace trestle
