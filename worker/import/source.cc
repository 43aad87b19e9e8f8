#include "worker/import/source.h"

#include <arrow/type.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "worker/block_file.h"
#include "worker/import/block_records.h"
#include "worker/import/byte_stream.h"
#include "worker/import/cells.h"
#include "worker/import/fields.h"
#include "worker/input.h"

namespace trestle {
namespace {

constexpr int64_t kHeadBytes = 64 << 10;

void AddNumbered(char letter, int count, std::vector<std::string>* names) {
  for (int i = 1; i <= count; ++i) names->push_back(letter + std::to_string(i));
}

std::vector<std::string> CriteoColumns() {
  std::vector<std::string> names = {"label"};
  AddNumbered('I', 13, &names);
  AddNumbered('C', 26, &names);
  return names;
}

char MostFrequentDelimiter(std::string_view line) {
  char best = ',';
  int64_t most = 0;
  for (const char candidate : {'\t', ',', ';', '|'}) {
    const int64_t count = std::count(line.begin(), line.end(), candidate);
    if (count > most) best = candidate, most = count;
  }
  return best;
}

Status Problem(const Source& source, const std::string& what) {
  return {StatusCode::kInvalidData, source.path + ": " + what};
}

// Names are what the config calls columns, so they must tell them apart.
Status CheckNames(const Source& source) {
  std::set<std::string> seen;
  for (const std::string& name : source.columns) {
    if (!IsUtf8(name)) return Problem(source, "line 1: a column's name is not UTF-8");
    if (!seen.insert(name).second) {
      return Problem(source, "line 1: the column \"" + name +
                                 "\" occurs twice; if the file has no header, name its columns in "
                                 "data.text.columns");
    }
  }
  return {};
}

Status ReadHeader(std::string_view line, Source* source) {
  FieldSplitter splitter(source->delimiter, source->quote);
  std::vector<std::string_view> names;
  if (const char* problem = splitter.Split(line, &names)) {
    return Problem(*source, std::string("line 1, the header: ") + problem);
  }
  source->columns.assign(names.begin(), names.end());
  source->header = true;
  return CheckNames(*source);
}

Status DescribeDelimited(std::string_view line, const TextFiles& text, Source* source) {
  source->kind = SourceKind::kDelimited;
  source->delimiter = text.has_delimiter() ? text.delimiter()[0] : MostFrequentDelimiter(line);
  if (text.has_quote()) source->quote = text.quote().empty() ? 0 : text.quote()[0];
  if (text.format() == TextFiles::CRITEO) {
    source->delimiter = '\t';
    source->quote = 0;
    source->columns = CriteoColumns();
    return {};
  }
  if (text.columns_size() == 0) return ReadHeader(line, source);
  source->columns.assign(text.columns().begin(), text.columns().end());
  return {};
}

// A member may be absent from an object, so the names are those of all lines at hand.
Status DescribeJson(std::string_view lines, Source* source) {
  source->kind = SourceKind::kJsonLines;
  std::set<std::string> names;
  std::string_view line;
  int64_t number = 0;
  for (RecordCursor cursor(lines, 1, 0); cursor.Next(&line, &number);) {
    const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) continue;
    for (const auto& [name, value] : object.items()) names.insert(name);
  }
  if (names.empty()) return Problem(*source, "its first lines are not JSON objects");
  source->columns.assign(names.begin(), names.end());
  return {};
}

Result<Source> DescribeBlocks(Source source) {
  TRESTLE_ASSIGN_OR_RETURN(const auto file, OpenBlockFile(source.path));
  source.columns = file->schema()->field_names();
  for (const int64_t rows : file->block_rows()) {
    source.rows += rows;
    source.largest_block = std::max(source.largest_block, rows);
  }
  return source;
}

}  // namespace

Status StatSource(Source* source) {
  struct stat info;
  if (::stat(source->path.c_str(), &info) != 0) {
    return {errno == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
            source->path + ": " + std::strerror(errno)};
  }
  source->bytes = info.st_size;
  source->modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  return {};
}

Result<Source> OpenSource(const std::string& path, const TextFiles& text) {
  Source source;
  source.path = path;
  TRESTLE_RETURN_IF_ERROR(StatSource(&source));
  TRESTLE_ASSIGN_OR_RETURN(auto stream, OpenByteStream(path));
  std::string head;
  TRESTLE_RETURN_IF_ERROR(stream->Read(8, &head));
  source.packed = source.bytes > 0 && stream->file_bytes() > static_cast<int64_t>(head.size());
  if (head.starts_with("PAR1") || head.starts_with("ARROW1")) {
    source.kind = SourceKind::kBlocks;
    source.packed = false;
    return DescribeBlocks(std::move(source));
  }
  TRESTLE_ASSIGN_OR_RETURN(stream, OpenByteStream(path));
  RecordReader reader(path, std::move(stream), text.newlines_in_values() ? '"' : 0);
  TRESTLE_ASSIGN_OR_RETURN(const RecordChunk chunk, reader.Next(kHeadBytes));
  std::string_view line;
  int64_t number = 0;
  RecordCursor cursor(chunk.bytes, 1, text.newlines_in_values() ? '"' : 0);
  if (!cursor.Next(&line, &number)) {
    return Problem(source, source.bytes == 0 ? "is empty (0 bytes)" : "has no line with text");
  }
  const bool json = text.format() == TextFiles::JSON_LINES ||
                    (text.format() == TextFiles::AUTO && line.starts_with('{'));
  const Status described =
      json ? DescribeJson(chunk.bytes, &source) : DescribeDelimited(line, text, &source);
  TRESTLE_RETURN_IF_ERROR(described);
  return source;
}

Result<std::unique_ptr<RecordStream>> OpenRecords(const Source& source, const TextFiles& text,
                                                  const std::vector<std::string>& columns) {
  if (source.kind == SourceKind::kBlocks) {
    const std::set<std::string> distinct(columns.begin(), columns.end());
    return OpenBlockRecords(source.path, {distinct.begin(), distinct.end()});
  }
  TRESTLE_ASSIGN_OR_RETURN(auto stream, OpenByteStream(source.path));
  return std::unique_ptr<RecordStream>(
      std::make_unique<RecordReader>(source.path, std::move(stream), source.record_quote(text)));
}

bool IsInBlocks(const Source& source) {
  return source.kind == SourceKind::kBlocks && source.largest_block <= kMaxBlockRows;
}

Status CheckText(const TextFiles& text) {
  const auto mistake = [](const std::string& what) {
    return Status(StatusCode::kInvalidConfig, "data.text." + what);
  };
  if (text.has_delimiter() && text.delimiter().size() != 1) {
    return mistake("delimiter: \"" + text.delimiter() + "\" is not one byte");
  }
  if (text.quote().size() > 1) return mistake("quote: \"" + text.quote() + "\" is not one byte");
  if (text.has_delimiter() && text.delimiter() == (text.has_quote() ? text.quote() : "\"")) {
    return mistake("delimiter: is the quote as well");
  }
  const bool named = text.format() == TextFiles::CRITEO || text.format() == TextFiles::JSON_LINES;
  if (named && text.columns_size() > 0) {
    return mistake("columns: files of format " + TextFiles::Format_Name(text.format()) +
                   " have names for theirs");
  }
  std::set<std::string> seen;
  for (const std::string& name : text.columns()) {
    if (!seen.insert(name).second) return mistake("columns: \"" + name + "\" is named twice");
  }
  return {};
}

}  // namespace trestle
