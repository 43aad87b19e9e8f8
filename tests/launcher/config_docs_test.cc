#include "launcher/config_docs.h"

#include <gtest/gtest.h>

#include "base/filesystem.h"
#include "launcher/config.h"
#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

TEST(ConfigDocs, CommittedPageIsCurrent) {
  const std::string path = std::string(TRESTLE_SOURCE_DIR) + "/docs/config.md";
  const Result<std::string> committed = FileSystem::Local().Read(path);
  ASSERT_TRUE(committed.ok()) << committed.status().ToString();
  EXPECT_TRUE(*committed == ConfigDocs())
      << "docs/config.md is not what the .proto files say; make it again from the repository's "
         "root:"
      << "\n  build/release/bin/trestle config docs > docs/config.md";
}

TEST(ConfigDocs, EverySettingHasAMeaning) {
  const std::string page = ConfigDocs();
  EXPECT_NE(page.find("| `rows` | integer | 4096 |"), std::string::npos);
  // Members of a oneof may be told by their own fields; all else must say something.
  for (size_t begin = 0; begin < page.size();) {
    const size_t end = page.find('\n', begin);
    const std::string line = page.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with("| `") || line.find("| { ... } |") != std::string::npos) continue;
    EXPECT_FALSE(line.ends_with("|  |")) << line;
  }
}

TEST(ConfigDocs, ExampleIsAConfig) {
  const TempDir dir;
  const Result<LoadedConfig> loaded =
      LoadConfig(dir.Write("example.textproto", ExampleConfig()), {});
  EXPECT_TRUE(loaded.ok()) << loaded.status().ToString();
}

TEST(SplitComment, FindsTheDefaultAtTheEnd) {
  const auto expect = [](std::string_view comment, std::string_view meaning,
                         std::string_view value) {
    const FieldComment split = SplitComment(comment);
    EXPECT_EQ(split.meaning, meaning) << comment;
    EXPECT_EQ(split.fallback, value) << comment;
  };
  expect("", "", "");
  expect("what it is", "what it is", "");
  expect("what it is, default 4", "what it is", "4");
  expect("what it is; default rows / 256, at least 1.", "what it is", "rows / 256, at least 1");
  expect("default 0.01", "", "0.01");
  expect("not the default one", "not the default one", "");
  expect("the default one is odd, default 1", "the default one is odd", "1");
}

}  // namespace
}  // namespace trestle
