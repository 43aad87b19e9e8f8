#include "worker/reject_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace trestle {
namespace {

TEST(RejectFile, OldOnesOfAnyRankAreRemovedAndNothingElse) {
  const TempDir dir;
  FileSystem& fs = FileSystem::Local();
  for (const int rank : {0, 1, 12}) {
    RejectFile file(fs, RejectPath(dir.path(), Rank{rank}));
    file.Add("f", 3, "y", "label is null");
    ASSERT_TRUE(file.Flush().ok());
  }
  EXPECT_EQ(fs.Read(dir.Join("rejected-rank-12.tsv")).value(), "f\t3\ty\tlabel is null\n");
  dir.Write("metrics.jsonl", "");
  dir.Write("rejected-rank-notes.txt", "");
  ASSERT_TRUE(RemoveRejectFiles(fs, dir.path()).ok());
  EXPECT_EQ(fs.List(dir.path()).value(),
            (std::vector<std::string>{"metrics.jsonl", "rejected-rank-notes.txt"}));
  EXPECT_TRUE(RemoveRejectFiles(fs, dir.path()).ok());
  EXPECT_EQ(RemoveRejectFiles(fs, dir.Join("gone")).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace trestle
