#include "backend/isa.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "backend/bridge.h"
#include "backend/gemm.h"
#include "backend/vector_math.h"

namespace trestle {
namespace {

constexpr char kPinVariable[] = "TRESTLE_TEST_INSTRUCTION_SET";

// Pins what the environment asks for before any test runs: how the test below runs the others
// again.
class PinFromEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    const char* name = std::getenv(kPinVariable);
    if (name == nullptr) return;
    const Status status = PinInstructionSet(name);
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
};
const testing::Environment* const kPin = testing::AddGlobalTestEnvironment(new PinFromEnvironment);

TEST(InstructionSet, OperatorsHoldOnTheLowestToo) {
  if (std::getenv(kPinVariable) != nullptr || NativeInstructionSet() == "avx2") {
    GTEST_SKIP() << "already on the lowest instruction set";
  }
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      std::string(kPinVariable) + "=avx2 '" + program +
      "' --gtest_brief=1 --gtest_filter='All/*:AttentionInput.*:Gemm.*:Linear.*:"
      "JaggedWeightedSum.*:VectorMath.*'";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

// Pinning is once a process, so what it does is watched in child processes.
class InstructionSetDeathTest : public testing::Test {
 protected:
  InstructionSetDeathTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

// Runs a product and a sum of each library; the bits as text on stderr.
void PrintBits() {
  std::vector<float> a(64 * 300), b(300 * 48), c(64 * 48), d(64 * 48);
  for (size_t i = 0; i < a.size(); ++i) a[i] = 1.0f / static_cast<float>(i % 89 + 3);
  for (size_t i = 0; i < b.size(); ++i) b[i] = 1.0f / static_cast<float>(i % 97 + 2);
  Gemm<float>(false, false, 64, 48, 300, a.data(), b.data(), c.data(), 0.0f);
  Gemm<float>(false, false, 20, 48, 30, a.data(), b.data(), d.data(), 0.0f);
  Vectors<float>().sigmoid(64 * 48, c.data(), c.data());
  double sum = 0;
  for (float x : c) sum += static_cast<double>(x);
  std::fprintf(stderr, "set %d sum %.17g\n", static_cast<int>(ActiveInstructionSet()), sum);
}

TEST_F(InstructionSetDeathTest, PinnedLowerRunsEverywhere) {
  EXPECT_EXIT(
      {
        if (!PinInstructionSet("avx2").ok()) std::exit(1);
        if (!PinInstructionSet("avx2").ok()) std::exit(2);  // again is fine
        PrintBits();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "set 0 sum ");
}

TEST_F(InstructionSetDeathTest, NativeIsPinnedByTheFirstKernel) {
  const int native = NativeInstructionSet() == "avx512" ? 1 : 0;
  EXPECT_EXIT(
      {
        PrintBits();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "set " + std::to_string(native));
}

TEST_F(InstructionSetDeathTest, PinningAfterTheFirstKernelIsRefused) {
  if (NativeInstructionSet() == "avx2") GTEST_SKIP() << "this machine has no lower set to pin";
  EXPECT_EXIT(
      {
        PrintBits();
        std::fprintf(stderr, "%s\n", PinInstructionSet("avx2").ToString().c_str());
        std::exit(0);
      },
      testing::ExitedWithCode(0), "too late");
}

TEST(InstructionSet, UnknownNameIsUnsupported) {
  const Status status = PinInstructionSet("sse9");
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.ToString().find("avx2 and avx512"), std::string::npos);
}

TEST(InstructionSet, VersionsNameBothLibraries) {
  const std::string versions = KernelLibraryVersions();
  EXPECT_NE(versions.find("oneDNN"), std::string::npos);
  EXPECT_NE(versions.find("LIBXSMM"), std::string::npos);
}

}  // namespace
}  // namespace trestle
