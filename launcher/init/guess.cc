#include "launcher/init/guess.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>

#include "base/nearest_name.h"
#include "launcher/format.h"
#include "worker/import/cells.h"

namespace trestle {
namespace {

constexpr double kNearlyAll = 0.99;   // of cells, to be of a kind: others are then bad rows
constexpr double kUnique = 0.95;      // distinct cells of all: each row has its own
constexpr int64_t kFewKinds = 30;     // distinct integers that are rather kinds than amounts
constexpr int64_t kEnoughRows = 200;  // to say that each row has its own
constexpr double kFreeText = 40;      // bytes of a cell on average

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool NameHasAny(const std::string& name, std::initializer_list<const char*> parts) {
  const std::string lower = Lower(name);
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return lower.find(part) != std::string::npos; });
}

bool IsIdName(const std::string& name) {
  const std::string lower = Lower(name);
  return lower == "id" || lower.ends_with("_id") || name.ends_with("Id") || name.ends_with("ID") ||
         lower.ends_with("id");
}

bool IsAmountName(const std::string& name) {
  return NameHasAny(name,
                    {"price",  "amount",  "count",   "cnt",   "num_", "_num", "age",   "duration",
                     "length", "score",   "rate",    "ratio", "avg",  "mean", "sum",   "total",
                     "days",   "seconds", "revenue", "cost",  "bid",  "ctr",  "views", "clicks"});
}

bool IsTimeName(const std::string& name) {
  const std::string lower = Lower(name);
  return lower == "ts" || lower.ends_with("_ts") || lower.ends_with("_at") ||
         NameHasAny(name, {"time", "date", "stamp", "day", "hour"});
}

std::string Percent(int64_t part, int64_t all) {
  return Format("%.3g %%",
                all > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(all) : 0.0);
}

int DimOf(size_t distinct) { return distinct < 20 ? 4 : distinct < 2000 ? 8 : 16; }

bool Nearly(int64_t part, int64_t all) {
  return static_cast<double>(part) >= kNearlyAll * static_cast<double>(all);
}

class ColumnGuesser {
 public:
  ColumnGuesser(const std::vector<std::string>& cells, GuessedColumn* column)
      : cells_(cells), column_(*column), p_(column->profile) {}

  void Guess() {
    if (p_.cells == 0) return LeaveOut("empty in every row");
    if (p_.distinct.size() == 1 && p_.missing == 0) return LeaveOut("the same in every row");
    if (GuessTime() || GuessList() || GuessNumber()) return;
    GuessId();
  }

 private:
  void Set(enum Guess guess, std::string why) {
    column_.guess = guess;
    column_.why = std::move(why);
  }
  void LeaveOut(std::string why) { Set(Guess::kLeftOut, std::move(why)); }

  bool OwnInEveryRow() const {
    return p_.cells >= kEnoughRows &&
           static_cast<double>(p_.distinct.size()) >= kUnique * static_cast<double>(p_.cells);
  }

  bool GuessTime() {
    if (!Nearly(p_.times, p_.cells)) return false;
    const bool digits = Nearly(p_.integers, p_.cells);
    if (digits && !IsTimeName(p_.name)) return false;
    column_.weekdays = p_.clocks == 0;
    Set(Guess::kTime, column_.weekdays ? "dates" : "times");
    return true;
  }

  // Cells with a separator in many, whose parts come again and again.
  bool GuessList() {
    if (2 * p_.in_brackets > p_.cells) return TakeList('|');
    if (Nearly(p_.numbers, p_.cells)) return false;
    for (const char separator : {'|', ';', ',', ' '}) {
      const auto with = std::count_if(cells_.begin(), cells_.end(), [&](const std::string& cell) {
        return cell.find(separator) != std::string::npos;
      });
      if (5 * with > p_.cells && TakeList(separator)) return true;
    }
    return false;
  }

  bool TakeList(char separator) {
    std::unordered_map<std::string, int64_t> items;
    std::set<size_t> lengths;
    int64_t all = 0, integers = 0;
    for (const std::string& cell : cells_) {
      const auto found = ItemsOf(cell, separator);
      if (!found.empty()) lengths.insert(found.size());
      for (const std::string& item : found) {
        if (item.empty()) return false;
        ++all;
        ++items[item];
        integers += ParseInteger(item) ? 1 : 0;
      }
    }
    const bool whole = integers == all;
    // Words are no items; and "Berlin, Germany" in every row is a text.
    const bool repeats = 4 * static_cast<int64_t>(items.size()) < all && lengths.size() > 1;
    if (lengths.empty() || *lengths.rbegin() < 2) return false;
    if (!whole && (separator == ' ' || (separator == ',' && !repeats))) return false;
    column_.separator = separator;
    column_.dim = DimOf(items.size());
    Set(whole ? Guess::kIntegerList : Guess::kStringList,
        "lists of up to " + std::to_string(*lengths.rbegin()) + ", " +
            std::to_string(items.size()) + " different items" +
            (p_.in_brackets > 0 ? "" : std::string(", separated by \"") + separator + "\""));
    return true;
  }

  bool GuessNumber() {
    if (!Nearly(p_.numbers, p_.cells)) return false;
    const bool whole = p_.integers == p_.cells;
    const auto kinds = static_cast<int64_t>(p_.distinct.size());
    if (whole && (IsIdName(p_.name) || (kinds <= kFewKinds && !IsAmountName(p_.name))))
      return false;
    if (whole && !IsAmountName(p_.name) && p_.max >= 0 && kinds > kFewKinds) {
      // Amounts crowd at their lower end and have gaps at the upper one; ids are spread out.
      const bool amount = p_.min < 0 || p_.mean > 1.5 * p_.median;
      if (!amount) return false;
    }
    column_.wide = p_.min >= 0 && p_.max > 20 * std::max(p_.median, 1e-9) && p_.max > 20;
    Set(Guess::kNumber,
        Format("numbers from %.6g to %.6g, median %.6g", p_.min, p_.max, p_.median));
    return true;
  }

  void GuessId() {
    if (OwnInEveryRow()) return LeaveOut("another one in nearly every row");
    const bool whole = p_.integers == p_.cells;
    if (!whole && p_.mean_length > kFreeText &&
        2 * static_cast<int64_t>(p_.distinct.size()) > p_.cells) {
      return LeaveOut("free text");
    }
    column_.dim = DimOf(p_.distinct.size());
    Set(whole ? Guess::kIntegerId : Guess::kStringId,
        std::to_string(p_.distinct.size()) + (whole ? " different integers" : " different texts"));
  }

  const std::vector<std::string>& cells_;
  GuessedColumn& column_;
  const ColumnProfile& p_;
};

class ConfigGuesser {
 public:
  explicit ConfigGuesser(const Sample& sample) : sample_(sample) {}

  Result<GuessedConfig> Run(const std::string& label) {
    guessed_.label = label;
    for (size_t c = 0; c < sample_.names.size(); ++c) {
      GuessedColumn column;
      column.profile = ProfileOf(sample_.names[c], sample_.cells[c]);
      if (sample_.names[c] != label) ColumnGuesser(sample_.cells[c], &column).Guess();
      if (sample_.text[c] && column.guess == Guess::kIntegerId) column.guess = Guess::kStringId;
      if (sample_.text[c] && column.guess == Guess::kIntegerList) column.guess = Guess::kStringList;
      guessed_.columns.push_back(std::move(column));
    }
    TRESTLE_RETURN_IF_ERROR(GuessLabel());
    LeaveOutLeaks();
    ShareTables();
    PutInStep();
    GuessGroup();
    CollectMissing();
    return std::move(guessed_);
  }

 private:
  Status GuessLabel() {
    const auto at = std::find(sample_.names.begin(), sample_.names.end(), guessed_.label);
    if (at == sample_.names.end()) {
      return {StatusCode::kInvalidConfig, "--label " + guessed_.label + ": no such column" +
                                              Suggestion(guessed_.label, sample_.names) +
                                              "the file has " + JoinNames(sample_.names) +
                                              "; if it has no header, give --columns"};
    }
    const auto index = static_cast<size_t>(at - sample_.names.begin());
    GuessedColumn& column = guessed_.columns[index];
    const ColumnProfile& p = column.profile;
    if (!Nearly(p.numbers, p.cells) || p.cells == 0) {
      return {StatusCode::kInvalidData, "--label " + guessed_.label +
                                            ": its cells are no numbers; a label holds 0 and 1, or "
                                            "numbers of which the larger ones count as 1"};
    }
    if (p.distinct.size() < 2) {
      return {StatusCode::kInvalidData,
              "--label " + guessed_.label + ": is the same in every row that was looked at"};
    }
    column.guess = Guess::kLabel;
    std::vector<double> values;
    for (const std::string& cell : sample_.cells[index]) {
      if (const auto value = FiniteNumber(cell)) values.push_back(*value);
    }
    std::sort(values.begin(), values.end());
    guessed_.label_is_binary =
        p.min == 0 && p.max == 1 &&
        std::all_of(values.begin(), values.end(), [](double x) { return x == 0 || x == 1; });
    if (!guessed_.label_is_binary) ChooseThreshold(values);
    const double from = guessed_.label_is_binary ? 1 : guessed_.positive_from;
    const auto positives = values.end() - std::lower_bound(values.begin(), values.end(), from);
    guessed_.positive_share = static_cast<double>(positives) / static_cast<double>(values.size());
    column.why = Percent(positives, static_cast<int64_t>(values.size())) + " positive" +
                 (guessed_.label_is_binary ? "" : ", being at least " + Format("%.9g", from));
    return {};
  }

  // The least value that at most half of the rows reach, and some do.
  void ChooseThreshold(const std::vector<double>& sorted) {
    const size_t half = sorted.size() / 2;
    const auto above = std::upper_bound(sorted.begin(), sorted.end(), sorted[half]);
    const bool median_reached_by_half = half == 0 || sorted[half] != sorted[half - 1];
    guessed_.positive_from =
        median_reached_by_half || above == sorted.end() ? sorted[half] : *above;
  }

  // A column that is the label again would be all that a model learns.
  void LeaveOutLeaks() {
    const auto label = std::find(sample_.names.begin(), sample_.names.end(), guessed_.label);
    const auto& truth = sample_.cells[static_cast<size_t>(label - sample_.names.begin())];
    for (size_t c = 0; c < guessed_.columns.size(); ++c) {
      GuessedColumn& column = guessed_.columns[c];
      if (column.guess == Guess::kLabel || column.guess == Guess::kLeftOut) continue;
      if (sample_.cells[c] != truth) continue;
      column.guess = Guess::kLeftOut;
      column.why = "equals the label in every row";
    }
  }

  // A list whose items are nearly all values of an id shares its table.
  void ShareTables() {
    for (size_t c = 0; c < guessed_.columns.size(); ++c) {
      GuessedColumn& list = guessed_.columns[c];
      if (!list.is_list()) continue;
      const enum Guess wanted =
          list.guess == Guess::kIntegerList ? Guess::kIntegerId : Guess::kStringId;
      double best = 0.5;
      for (const GuessedColumn& id : guessed_.columns) {
        if (id.guess != wanted || id.profile.distinct.size() < 3) continue;
        const double share = ShareIn(sample_.cells[c], list.separator, id.profile);
        // Small integers are values of every id: a part of the name must agree then.
        const bool named = NamesAgree(list.profile.name, id.profile.name);
        if (share <= best || (wanted == Guess::kIntegerId && !named)) continue;
        best = share;
        list.like = id.profile.name;
      }
    }
  }

  static double ShareIn(const std::vector<std::string>& cells, char separator,
                        const ColumnProfile& id) {
    int64_t all = 0, inside = 0;
    for (const std::string& cell : cells) {
      for (const std::string& item : ItemsOf(cell, separator)) {
        ++all;
        inside += id.distinct.contains(item) ? 1 : 0;
      }
    }
    return all == 0 ? 0 : static_cast<double>(inside) / static_cast<double>(all);
  }

  // "hist_item_ids" and "item_id".
  static bool NamesAgree(const std::string& list, const std::string& id) {
    std::string stem = Lower(id);
    for (const char* ending : {"_id", "id"}) {
      if (stem.size() > std::string(ending).size() + 1 && stem.ends_with(ending)) {
        stem.resize(stem.size() - std::string(ending).size());
      }
    }
    return stem.size() >= 3 && Lower(list).find(stem) != std::string::npos;
  }

  // Lists go in step if they have equal lengths in every row, and some lengths differ.
  void PutInStep() {
    std::map<std::vector<size_t>, int> groups;
    for (size_t c = 0; c < guessed_.columns.size(); ++c) {
      GuessedColumn& list = guessed_.columns[c];
      if (!list.is_list()) continue;
      std::vector<size_t> lengths;
      for (const std::string& cell : sample_.cells[c]) {
        lengths.push_back(ItemsOf(cell, list.separator).size());
      }
      lengths.push_back(list.like.empty() ? 0 : 1);  // `like` is given for all of a group or none
      lengths.push_back(static_cast<size_t>(list.guess));
      lengths.push_back(static_cast<size_t>(list.separator));
      list.in_step =
          groups.try_emplace(std::move(lengths), static_cast<int>(groups.size())).first->second;
    }
  }

  void GuessGroup() {
    for (const GuessedColumn& column : guessed_.columns) {
      const bool id = column.guess == Guess::kIntegerId || column.guess == Guess::kStringId;
      if (!id || !guessed_.group.empty()) continue;
      if (NameHasAny(column.profile.name, {"user", "uid", "member", "visitor", "customer"})) {
        guessed_.group = column.profile.name;
      }
    }
  }

  void CollectMissing() {
    for (const GuessedColumn& column : guessed_.columns) {
      // In texts it is one more kind; elsewhere it would make the row bad.
      const bool text_cells =
          column.guess == Guess::kStringId || column.guess == Guess::kStringList;
      if (column.guess == Guess::kLeftOut || text_cells) continue;
      for (const std::string& text : column.profile.missing_texts) {
        auto& all = guessed_.missing_texts;
        if (std::find(all.begin(), all.end(), text) == all.end()) all.push_back(text);
      }
    }
  }

  const Sample& sample_;
  GuessedConfig guessed_;
};

}  // namespace

Result<GuessedConfig> GuessConfig(const Sample& sample, const std::string& label) {
  return ConfigGuesser(sample).Run(label);
}

const char* GuessName(Guess guess) {
  switch (guess) {
    case Guess::kLabel:
      return "label";
    case Guess::kIntegerId:
    case Guess::kStringId:
      return "id";
    case Guess::kTime:
      return "time";
    case Guess::kNumber:
      return "number";
    case Guess::kIntegerList:
    case Guess::kStringList:
      return "list";
    case Guess::kLeftOut:
      return "left out";
  }
  return "";
}

}  // namespace trestle
