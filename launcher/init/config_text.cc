#include "launcher/init/config_text.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "launcher/checkpoint/text.h"
#include "launcher/format.h"

namespace trestle {
namespace {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\t' ? "\\t" : c == '\n' ? "\\n" : std::string(1, c);
  }
  return quoted + "\"";
}

std::string List(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + Quoted(text);
  return texts.size() == 1 ? list : "[" + list + "]";
}

std::string Decimal(double x) { return Format("%.9g", x); }

class Writer {
 public:
  Writer(const GuessedConfig& guessed, const ConfigFiles& files)
      : guessed_(guessed), files_(files) {
    for (const GuessedColumn& column : guessed.columns) {
      if (column.is_list()) lists_[column.in_step].push_back(&column);
    }
  }

  std::string Write() {
    WriteHead();
    WriteData();
    WriteFeatures();
    WriteModel();
    WriteTraining();
    return out_.str();
  }

 private:
  // With a comment behind it, if there is one.
  void Line(const std::string& text, const std::string& comment = "") {
    out_ << text;
    if (!comment.empty()) out_ << "  # " << OneLine(comment);
    out_ << "\n";
  }
  static std::string OneLine(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  void WriteHead() {
    Line("# Written by `trestle init` from the first " + std::to_string(files_.sample->rows) +
         " rows of " + files_.source->path + ", of about " +
         std::to_string(files_.sample->rows_in_file) + ".");
    Line(
        "# Each line says what was seen; docs/config.md has every setting. Check the guesses, "
        "then:");
    Line("#");
    Line("#   trestle train " + files_.path);
    Line("");
  }

  void WriteData() {
    const int64_t bad_rows = std::max<int64_t>(10, files_.sample->rows_in_file / 1000);
    Line("data {");
    Line("  train: " + List(files_.patterns));
    Line("  label: " + Quoted(guessed_.label), WhyOf(guessed_.label));
    if (!guessed_.label_is_binary) {
      Line("  positive_from: " + Decimal(guessed_.positive_from),
           "the label is 1 from here on, else 0");
    }
    if (!guessed_.group.empty()) {
      Line("  group: " + Quoted(guessed_.group), "GAUC averages over these");
    }
    Line("  holdout: 0.1", "a tenth of the rows is kept to test with; or name files in `test`");
    Line("  order: SHUFFLE", "TIME keeps the order of the files, and tests with the last rows");
    Line("  max_bad_rows: " + std::to_string(bad_rows),
         "rows that cannot be read; more stop the run");
    WriteText();
    Line("}");
    Line("");
  }

  void WriteText() {
    if (files_.source->kind == SourceKind::kBlocks) return;
    std::string text;
    if (files_.source->kind == SourceKind::kJsonLines) {
      text += "  format: JSON_LINES";
    } else if (files_.text->format() == TextFiles::CRITEO) {
      text += "  format: CRITEO";
    } else {
      text += "  delimiter: " + Quoted(std::string(1, files_.source->delimiter));
    }
    const auto& names = files_.text->columns();
    if (!names.empty()) text += "  columns: " + List({names.begin(), names.end()});
    if (!guessed_.missing_texts.empty()) text += "  missing: " + List(guessed_.missing_texts);
    if (files_.text->newlines_in_values()) text += "  newlines_in_values: true";
    Line("  text {" + text.substr(1) + " }");
  }

  void WriteFeatures() {
    Line("features {");
    for (const GuessedColumn& column : guessed_.columns) WriteId(column);
    for (const auto& [number, columns] : lists_) WriteLists(columns);
    for (const GuessedColumn& column : guessed_.columns) WriteNumber(column);
    for (const GuessedColumn& column : guessed_.columns) {
      if (column.guess != Guess::kLeftOut) continue;
      Line("  # left out: " + OneLine(column.profile.name), column.why);
    }
    Line("  # Buckets of numbers, crosses of ids and weights of rows: docs/columns.md.");
    Line("}");
    Line("");
  }

  void WriteId(const GuessedColumn& column) {
    const std::string begin = "  id { columns: " + Quoted(column.profile.name);
    if (column.guess == Guess::kTime) {
      Line(begin + (column.weekdays ? "  time: DAY_OF_WEEK  dim: 4 }"
                                    : "  time: HOUR_OF_WEEK  dim: 8 }"),
           column.why);
    }
    const bool text = column.guess == Guess::kStringId;
    if (!text && column.guess != Guess::kIntegerId) return;
    Line(begin + (text ? "  type: STRING" : "  type: INTEGER") +
             "  dim: " + std::to_string(column.dim) + " }",
         column.why);
  }

  // Lists of what no id column holds are rather sets, unless they go in step.
  void WriteLists(const std::vector<const GuessedColumn*>& columns) {
    std::vector<std::string> names, like;
    std::string why;
    for (const GuessedColumn* column : columns) {
      names.push_back(column->profile.name);
      if (!column->like.empty()) like.push_back(column->like);
      why += (why.empty() ? "" : "; ") + column->why;
    }
    const GuessedColumn& first = *columns.front();
    const bool set = like.empty() && columns.size() == 1;
    std::string text = (set ? "  bag { columns: " : "  sequence { columns: ") + List(names);
    text += like.empty() ? "  dim: " + std::to_string(first.dim) : "  like: " + List(like);
    text += first.guess == Guess::kStringList ? "  type: STRING" : "  type: INTEGER";
    if (first.profile.in_brackets == 0) {
      text += "  separator: " + Quoted(std::string(1, first.separator));
    }
    Line(text + (set ? "  pooling: MEAN }" : "  keep_last: 50 }"), why);
  }

  void WriteNumber(const GuessedColumn& column) {
    if (column.guess != Guess::kNumber) return;
    Line("  numeric { columns: " + Quoted(column.profile.name) +
             (column.wide ? "  transform: LOG1P" : "") +
             "  scale: STANDARD  missing: " + Decimal(column.profile.median) + " }",
         column.why);
  }

  // Histories of candidates are what DIN is for.
  void WriteModel() {
    for (const auto& [number, columns] : lists_) {
      if (columns.front()->like.empty()) continue;
      std::vector<std::string> candidate, history;
      for (const GuessedColumn* column : columns) {
        candidate.push_back(column->like);
        history.push_back(column->profile.name);
      }
      Line("model { din {");
      Line("  candidate: " + List(candidate) + "  history: " + List(history),
           "items of the history are values of the candidate");
      Line("  attention { units: [80, 40] }");
      Line("  mlp { units: [200, 80] }");
      Line("} }");
      Line("");
      return;
    }
    Line("model { base { mlp { units: [200, 80] } } }");
    Line("");
  }

  void WriteTraining() {
    const int64_t rows = files_.sample->rows_in_file;
    const std::string batch = rows < 100'000      ? "256  lanes: 4"
                              : rows < 10'000'000 ? "1024"
                                                  : "4096";
    Line("optimizer {");
    Line("  embedding { adagrad { lr: 0.02 } }");
    Line("  dense { adam { lr: 0.001 } }");
    Line("}");
    Line("batch { rows: " + batch + " }");
    Line("train { epochs: " + std::to_string(rows < 100'000 ? 3 : 1) + "  seed: 1 }",
         rows < 100'000 ? "few rows" : "more epochs overfit, as is known of such models");
  }

  std::string WhyOf(const std::string& name) const {
    for (const GuessedColumn& column : guessed_.columns) {
      if (column.profile.name == name) return column.why;
    }
    return "";
  }

  const GuessedConfig& guessed_;
  const ConfigFiles& files_;
  std::map<int, std::vector<const GuessedColumn*>> lists_;
  std::ostringstream out_;
};

}  // namespace

std::string ConfigText(const GuessedConfig& guessed, const ConfigFiles& files) {
  return Writer(guessed, files).Write();
}

std::string GuessTable(const GuessedConfig& guessed) {
  TextTable table("llrrl", {"COLUMN", "GUESS", "DISTINCT", "MISSING", "SEEN"});
  for (const GuessedColumn& column : guessed.columns) {
    const ColumnProfile& p = column.profile;
    const double all = std::max<double>(1, static_cast<double>(p.cells + p.missing));
    table.Add({p.name, GuessName(column.guess), std::to_string(p.distinct.size()),
               Format("%.1f %%", 100 * static_cast<double>(p.missing) / all), column.why});
  }
  std::ostringstream out;
  table.Print(out, "");
  return out.str();
}

}  // namespace trestle
