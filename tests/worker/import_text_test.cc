// The parts that read text: records, fields, cells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"
#include "worker/import/cells.h"
#include "worker/import/fields.h"
#include "worker/import/records.h"

namespace trestle {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Strings = std::vector<std::string>;

Strings Split(std::string_view record, char quote = '"') {
  FieldSplitter splitter(',', quote);
  std::vector<std::string_view> fields;
  if (const char* problem = splitter.Split(record, &fields)) return {problem};
  return {fields.begin(), fields.end()};
}

TEST(ImportFields, QuotesKeepDelimitersAndAreDoubledInside) {
  EXPECT_THAT(Split("a,b,"), ElementsAre("a", "b", ""));
  EXPECT_THAT(Split(R"("a,b",c)"), ElementsAre("a,b", "c"));
  EXPECT_THAT(Split(R"(x,"say ""hi""","")"), ElementsAre("x", "say \"hi\"", ""));
  EXPECT_THAT(Split(R"(5" pipe,b)"), ElementsAre("5\" pipe", "b"));
  EXPECT_THAT(Split(R"("a",)"), ElementsAre("a", ""));
  EXPECT_THAT(Split(R"("a)"), ElementsAre("a quote is not closed"));
  EXPECT_THAT(Split(R"("a"b,c)"), ElementsAre("text follows a closing quote"));
  EXPECT_THAT(Split("5\" pipe\n6\" pipe,b"),
              ElementsAre("has a line feed in a field without quotes"));
  EXPECT_THAT(Split(R"("a,b)", 0), ElementsAre("\"a", "b"));
}

TEST(ImportFields, WhatIsQuotedComesBack) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    Strings fields(1 + random() % 5);
    std::string record;
    for (size_t i = 0; i < fields.size(); ++i) {
      for (size_t n = random() % 6; n > 0; --n) fields[i] += "a,\"\n "[random() % 5];
      std::string doubled;
      for (const char c : fields[i]) doubled += c == '"' ? std::string("\"\"") : std::string(1, c);
      record += i ? ",\"" : "\"";
      record += doubled + "\"";
    }
    EXPECT_EQ(Split(record), fields) << record;
  }
}

struct Line {
  std::string text;
  int64_t number;
  bool operator==(const Line&) const = default;
};

std::vector<Line> Records(const std::string& path, int64_t chunk_bytes, char quote) {
  RecordReader reader(path, OpenByteStream(path).value(), quote);
  std::vector<Line> lines;
  while (true) {
    const RecordChunk chunk = reader.Next(chunk_bytes).value();
    if (chunk.bytes.empty()) return lines;
    RecordCursor cursor(chunk.bytes, chunk.first_line, quote);
    std::string_view record;
    int64_t number = 0;
    while (cursor.Next(&record, &number)) lines.push_back({std::string(record), number});
  }
}

TEST(ImportRecords, AreTheSameInChunksOfAnySize) {
  const TempDir dir;
  const std::string path =
      dir.Write("x.csv", "\xEF\xBB\xBFh,i\r\n1,2\n\n\n\"a\nb\",3\r\n4,\"\"\"\n\"\nend");
  const std::vector<Line> plain = {{"h,i", 1},      {"1,2", 2}, {"\"a", 5}, {"b\",3", 6},
                                   {"4,\"\"\"", 7}, {"\"", 8},  {"end", 9}};
  const std::vector<Line> quoted = {
      {"h,i", 1}, {"1,2", 2}, {"\"a\nb\",3", 5}, {"4,\"\"\"\n\"", 7}, {"end", 9}};
  for (int64_t bytes = 4; bytes < 50; ++bytes) {
    EXPECT_EQ(Records(path, bytes, 0), plain) << bytes;
    EXPECT_EQ(Records(path, bytes, '"'), quoted) << bytes;
  }
}

// A file without a line feed.
class EndlessLine final : public ByteStream {
 public:
  Status Read(int64_t bytes, std::string* out) override {
    out->append(static_cast<size_t>(bytes), 'x');
    return {};
  }
  int64_t file_bytes() const override { return 0; }
  std::string Xxh3_128() const override { return ""; }
};

TEST(ImportRecords, OfMoreThanTheyMayHoldAreRefused) {
  RecordReader reader("a.csv", std::make_unique<EndlessLine>(), '"');
  const Status status = reader.Next(kMaxRecordBytes + 1).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidData);
  EXPECT_EQ(
      status.ToString(),
      "a.csv, line 1: does not end within 67108864 bytes: not a text file, or a quote that is "
      "not closed");
}

TEST(ImportCells, IntegersAreExactOrRefused) {
  EXPECT_EQ(ParseInteger("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ParseInteger("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseInteger("0"), 0);
  for (const char* text :
       {"9223372036854775808", "1.0", "+1", "007", "-0", "1 ", " 1", "1e3", "x"}) {
    EXPECT_EQ(ParseInteger(text), std::nullopt) << text;
  }
}

TEST(ImportCells, NumbersAreWholeCells) {
  EXPECT_EQ(ParseNumber("-2.5e-3"), -2.5e-3);
  EXPECT_EQ(ParseNumber("True"), 1);
  EXPECT_EQ(ParseNumber("false"), 0);
  for (const char* text : {"1,5", "1 ", "0x10", "$3", "--1"}) {
    EXPECT_EQ(ParseNumber(text), std::nullopt) << text;
  }
}

TEST(ImportCells, TimesOfManyKindsAreOneInstant) {
  for (const char* text : {"2024-03-31T17:05:09Z", "2024-03-31 17:05:09.25", "2024/03/31 17:05:09",
                           "1711904709", "1711904709123"}) {
    EXPECT_EQ(ParseTime(text), 1711904709) << text;
  }
  EXPECT_EQ(ParseTime("2024-03-31"), ParseTime("20240331"));
  EXPECT_EQ(ParseTime("2024-03-31 17"), ParseTime("2024-03-31 17:00:00"));
  for (const char* text : {"2024-13-01", "2024-01-32", "2023-02-29", "1900-02-29", "31.03.2024",
                           "2024-03-31 25:00", "12", "2024-03-31 17:5"}) {
    EXPECT_EQ(ParseTime(text), std::nullopt) << text;
  }
  const int64_t sunday = *ParseTime("2024-03-31 17:05");
  EXPECT_EQ(PartOfTime(HOUR_OF_WEEK, sunday), 6 * 24 + 17);
  EXPECT_EQ(PartOfTime(HOUR_OF_DAY, sunday), 17);
  EXPECT_EQ(PartOfTime(DAY_OF_WEEK, sunday), 6);
  EXPECT_EQ(PartOfTime(DAY_OF_WEEK, *ParseTime("1969-12-29")), 0);
}

TEST(ImportCells, WhatIsNoTimeIsRefused) {
  ImportColumn column;
  column.set_name("seen");
  column.set_kind(INTEGER_ID);
  column.set_time(HOUR_OF_DAY);
  UnitColumn out;
  out.kind = INTEGER_ID;
  std::string reason;
  EXPECT_TRUE(AppendCell(column, "2024-03-31 17:05", &out, &reason)) << reason;
  EXPECT_FALSE(AppendCell(column, "31 March", &out, &reason));
  EXPECT_EQ(reason, "seen \"31 March\" is no date or time");
}

// What a cell appends, or the reason.
std::string List(CellKind kind, std::string_view cell) {
  ImportColumn column;
  column.set_name("tags");
  column.set_kind(kind);
  column.set_separator("|");
  UnitColumn out;
  out.kind = kind;
  std::string reason;
  if (!AppendCell(column, cell, &out, &reason)) return reason;
  std::string shown = std::to_string(out.list_ends.back()) + ":";
  for (const int64_t i : out.integers) shown.append(" ").append(std::to_string(i));
  return shown + out.text;
}

TEST(ImportCells, ListsAreCutAtTheirSeparatorOrInBrackets) {
  EXPECT_EQ(List(INTEGER_IDS, "1|-2|3"), "3: 1 -2 3");
  EXPECT_EQ(List(INTEGER_IDS, "7"), "1: 7");
  EXPECT_EQ(List(INTEGER_IDS, "[1, 2,3]"), "3: 1 2 3");
  EXPECT_EQ(List(INTEGER_IDS, "[]"), "0:");
  EXPECT_EQ(List(STRING_IDS, "Sci-Fi|Drama"), "2:Sci-FiDrama");
  EXPECT_EQ(List(STRING_IDS, R"(["a b", 'c'])"), "2:a bc");
  EXPECT_EQ(List(STRING_IDS, R"(["Home, garden","Toys"])"), "2:Home, gardenToys");
  EXPECT_EQ(List(STRING_IDS, R"(["it's"])"), "1:it's");
  EXPECT_EQ(List(STRING_IDS, "a | b"), "2:a  b");
  EXPECT_EQ(List(INTEGER_IDS, "1 | 2"), "2: 1 2");
  EXPECT_THAT(List(STRING_IDS, R"(["a\"b"])"), HasSubstr("has a backslash in an item"));
  EXPECT_THAT(List(STRING_IDS, R"([5" pipe])"), HasSubstr("has a quote inside an item"));
  EXPECT_THAT(List(STRING_IDS, R"(["a" b])"), HasSubstr("has text behind a closing quote"));
  EXPECT_THAT(List(STRING_IDS, R"(["a])"), HasSubstr("has a quote that is not closed"));
  EXPECT_THAT(List(INTEGER_IDS, "[1,]"), HasSubstr("is an empty item of a list"));
  EXPECT_EQ(List(INTEGER_IDS, "1|x"), "tags \"x\" in a list is not an integer");
  EXPECT_THAT(List(INTEGER_IDS, "1||2"), HasSubstr("is an empty item of a list"));
  EXPECT_THAT(List(INTEGER_IDS, "1|2|"), HasSubstr("is an empty item of a list"));
  EXPECT_THAT(List(STRING_IDS, "a|\xFF"), HasSubstr("not UTF-8"));
}

}  // namespace
}  // namespace trestle
