// Reads every #include of the rooms (and every import of their messages) and fails where one breaks
// the direction of dependencies or lets a third-party header out of the sources it belongs to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/structure/include_rules.h"

namespace trestle {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Sources, headers and messages of the rooms, relative to the root.
std::vector<std::string> RoomFiles() {
  static const std::set<std::string> kinds = {".cc", ".h", ".cu", ".cuh", ".proto"};
  std::vector<std::string> files;
  for (const auto& [room, allowed] : AllowedRooms()) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(TRESTLE_SOURCE_DIR) / room)) {
      if (!kinds.contains(entry.path().extension().string())) continue;
      files.push_back(fs::relative(entry.path(), TRESTLE_SOURCE_DIR).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Line {
  std::string path;
  int number = 0;
  std::string text;
};

std::vector<Line> AllLines() {
  std::vector<Line> lines;
  for (const std::string& path : RoomFiles()) {
    std::ifstream in(fs::path(TRESTLE_SOURCE_DIR) / path);
    int number = 0;
    for (std::string text; std::getline(in, text);) lines.push_back({path, ++number, text});
  }
  return lines;
}

TEST(Includes, OfEveryRoomKeepTheRules) {
  int includes = 0;
  for (const Line& line : AllLines()) {
    includes += line.text.starts_with("#include") ? 1 : 0;
    if (const auto offence = CheckLine(line.path, line.text)) {
      ADD_FAILURE() << line.path << ":" << line.number << ": " << *offence;
    }
  }
  EXPECT_GT(includes, 100) << "too few to be the whole tree";
}

TEST(Includes, NameFilesThatExist) {
  static const std::regex own("#include \"([^\"]+)\".*");
  for (const Line& line : AllLines()) {
    std::smatch match;
    if (!std::regex_match(line.text, match, own)) continue;
    std::string target = match[1];
    if (target.ends_with(".pb.h")) target.replace(target.size() - 5, 5, ".proto");
    EXPECT_TRUE(fs::exists(fs::path(TRESTLE_SOURCE_DIR) / target))
        << line.path << ":" << line.number << ": there is no " << target;
  }
}

// Each costs 6 s of compilation.
TEST(Includes, ReadCli11InTheCommandLineOnly) {
  for (const Line& line : AllLines()) {
    if (!line.text.starts_with("#include <CLI/")) continue;
    EXPECT_TRUE(line.path.starts_with("launcher/command")) << line.path << ":" << line.number;
  }
}

TEST(Includes, ThreePeersNeverSeeEachOther) {
  for (const std::string room : {"comm", "embedding", "backend"}) {
    for (const std::string other : {"comm", "embedding", "backend", "ps", "worker", "launcher"}) {
      const auto offence = CheckLine(room + "/x.cc", "#include \"" + other + "/y.h\"");
      EXPECT_EQ(offence.has_value(), room != other) << room << " " << other;
    }
  }
}

TEST(Includes, DirectionIsEnforcedInMessagesToo) {
  EXPECT_TRUE(CheckLine("backend/x.proto", "import \"worker/data.proto\";").has_value());
  EXPECT_FALSE(CheckLine("launcher/x.proto", "import \"worker/data.proto\";").has_value());
  EXPECT_FALSE(CheckLine("backend/x.proto", "import \"google/protobuf/any.proto\";").has_value());
}

TEST(Includes, WorkerSeesTheServersThroughTheClientAlone) {
  EXPECT_FALSE(CheckLine("worker/x.cc", "#include \"ps/client.h\"").has_value());
  EXPECT_FALSE(CheckLine("worker/x.cc", "#include \"ps/cluster.pb.h\"").has_value());
  const auto offence = CheckLine("worker/x.cc", "#include \"ps/node.h\"");
  ASSERT_TRUE(offence.has_value());
  EXPECT_THAT(*offence, HasSubstr("ps/client.h"));
  EXPECT_FALSE(CheckLine("launcher/x.cc", "#include \"ps/node.h\"").has_value());
}

TEST(Includes, ThirdPartyHeadersStayInTheirSources) {
  struct Case {
    const char* path;
    const char* header;
    bool allowed;
  };
  for (const Case& c : std::vector<Case>{{"comm/mpi_communicator.cc", "mpi.h", true},
                                         {"comm/all_to_all_mpi.cc", "mpi.h", true},
                                         {"comm/mpi_communicator.h", "mpi.h", false},
                                         {"comm/thread_communicator.cc", "mpi.h", false},
                                         {"ps/client.cc", "mpi.h", false},
                                         {"launcher/version.cc", "mpi.h", true},
                                         {"launcher/doctor.cc", "mpi.h", true},
                                         {"launcher/train.cc", "mpi.h", false},
                                         {"worker/parquet.cc", "arrow/api.h", true},
                                         {"worker/parquet.h", "arrow/api.h", false},
                                         {"worker/parquet.h", "arrow/type_fwd.h", true},
                                         {"launcher/x.h", "arrow/type_fwd.h", false},
                                         {"ps/node.cc", "parquet/api.h", false},
                                         {"launcher/synth_plant.cc", "arrow/api.h", true},
                                         {"backend/linear.cc", "dnnl.hpp", true},
                                         {"backend/models/din.cc", "libxsmm.h", true},
                                         {"backend/linear.h", "libxsmm.h", false},
                                         {"embedding/table.cc", "dnnl.hpp", false},
                                         {"launcher/command_line.cc", "CLI/CLI.hpp", true},
                                         {"worker/x.cc", "CLI/CLI.hpp", false},
                                         {"base/hash.cc", "xxhash.h", true},
                                         {"base/hash.h", "xxhash.h", false},
                                         {"ps/x.cc", "omp.h", false},
                                         {"base/x.cc", "gtest/gtest.h", false},
                                         {"base/x.cc", "vector", true},
                                         {"base/x.cc", "sys/stat.h", true},
                                         {"base/x.cc", "google/protobuf/message.h", true},
                                         {"base/x.cc", "boost/any.hpp", false}}) {
    const std::string line = std::string("#include <") + c.header + ">";
    EXPECT_EQ(CheckLine(c.path, line).has_value(), !c.allowed) << c.path << " " << line;
  }
}

TEST(Includes, OwnHeadersAreNamedFromTheRoot) {
  EXPECT_TRUE(CheckLine("base/hash.cc", "#include \"hash.h\"").has_value());
  EXPECT_TRUE(CheckLine("base/hash.cc", "#include \"../base/hash.h\"").has_value());
  EXPECT_TRUE(CheckLine("base/hash.cc", "#include \"tests/support/process.h\"").has_value());
  EXPECT_FALSE(CheckLine("base/hash.cc", "  #  include \"base/hash.h\"  // why").has_value());
}

}  // namespace
}  // namespace trestle
