#include "base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace trestle {
namespace {

Status Chain() {
  return Status(StatusCode::kPeerFailed, "connection closed")
      .Wrap("pull from rank 3")
      .Wrap("step 17");
}

TEST(Status, DefaultIsOk) {
  EXPECT_TRUE(Status().ok());
  EXPECT_TRUE(Ok().ok());
  EXPECT_EQ(Status().code(), StatusCode::kOk);
  EXPECT_EQ(Status().ToString(), "OK");
  EXPECT_EQ(Status().root_message(), "");
}

TEST(Status, ChainReadsOutermostFirst) {
  EXPECT_EQ(Chain().ToString(), "step 17: pull from rank 3: connection closed");
  EXPECT_EQ(Chain().root_message(), "connection closed");
  EXPECT_EQ(Chain().code(), StatusCode::kPeerFailed);
}

TEST(Status, WrappingLeavesTheInnerStatusAlone) {
  const Status inner(StatusCode::kIoError, "disk full");
  const Status outer = inner.Wrap("reject file");
  EXPECT_EQ(inner.ToString(), "disk full");
  EXPECT_EQ(outer.ToString(), "reject file: disk full");
}

TEST(Status, WrappingOkStaysOk) { EXPECT_TRUE(Status().Wrap("step 1").ok()); }

TEST(Status, SurvivesTheWire) {
  const Status parsed = Status::Parse(Chain().Serialize());
  EXPECT_EQ(parsed.code(), Chain().code());
  EXPECT_EQ(parsed.ToString(), Chain().ToString());
  EXPECT_EQ(parsed.root_message(), Chain().root_message());
  EXPECT_EQ(parsed.Serialize(), Chain().Serialize());
  EXPECT_TRUE(Status::Parse(Status().Serialize()).ok());
}

TEST(Status, TextOfAnyKindSurvivesTheWire) {
  for (const std::string text : {"", ":", "a: b", "line\nline", "\xC3\xA4\xFF", " "}) {
    const Status status = Status(StatusCode::kInvalidData, text).Wrap(text);
    EXPECT_EQ(Status::Parse(status.Serialize()).ToString(), status.ToString());
  }
}

TEST(Status, BytesThatAreNoStatusAreAnInternalError) {
  for (const std::string bytes : {"", "x", "not a number"}) {
    EXPECT_EQ(Status::Parse(bytes).code(), StatusCode::kInternal) << bytes;
  }
}

TEST(Status, EveryCodeHasANameAndItsExitCode) {
  for (const int code : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 130}) {
    EXPECT_NE(StatusCodeName(static_cast<StatusCode>(code)), "unknown") << code;
    EXPECT_EQ(ExitCode(static_cast<StatusCode>(code)), code);
  }
}

Result<int> Half(int x) {
  if (x % 2 != 0) return Status(StatusCode::kInvalidData, "odd");
  return x / 2;
}
Result<int> Quarter(int x) {
  TRESTLE_ASSIGN_OR_RETURN(const int half, Half(x));
  TRESTLE_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}
Status IsEven(int x) {
  TRESTLE_RETURN_IF_ERROR(Half(x).status().Wrap("checking"));
  return {};
}

TEST(Result, IsAValueOrAStatus) {
  EXPECT_EQ(*Half(6), 3);
  EXPECT_TRUE(Half(6).status().ok());
  EXPECT_FALSE(Half(7).ok());
  EXPECT_EQ(Half(7).status().ToString(), "odd");
}

TEST(Result, MacrosPassErrorsOn) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(6).status().root_message(), "odd");
  EXPECT_TRUE(IsEven(2).ok());
  EXPECT_EQ(IsEven(3).ToString(), "checking: odd");
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<std::string>> result(std::make_unique<std::string>("text"));
  EXPECT_EQ((*result)->size(), 4u);
  const std::unique_ptr<std::string> taken = std::move(result).value();
  EXPECT_EQ(*taken, "text");
}

TEST(ResultDeathTest, TheValueOfAnErrorIsACheckFailureThatShowsIt) {
  Result<int> result = Status(StatusCode::kNotFound, "no such thing");
  EXPECT_DEATH((void)result.value(), "no such thing");
  EXPECT_DEATH((void)*result, "no such thing");
}

TEST(ResultDeathTest, AnOkStatusIsNoResult) {
  EXPECT_DEATH((void)Result<int>(Status()), "needs a value or an error");
}

}  // namespace
}  // namespace trestle
