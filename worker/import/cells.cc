#include "worker/import/cells.h"

#include <arrow/util/utf8.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "worker/import/list_cursor.h"
#include "worker/numeric_scaling.h"

namespace trestle {
namespace {

constexpr size_t kMostShown = 60;  // bytes of a cell in a reason

// As a reason shows it: one line, valid, not too long.
std::string Shown(std::string_view text) {
  std::string shown(text.substr(0, kMostShown));
  if (text.size() > kMostShown) shown += "...";
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (!IsUtf8(shown)) {
    for (char& c : shown) {
      if (static_cast<unsigned char>(c) >= 0x80) c = '?';
    }
  }
  return "\"" + shown + "\"";
}

bool Refuse(const ImportColumn& column, std::string_view text, const char* why,
            std::string* reason) {
  *reason = column.name() + " " + Shown(text) + " " + why;
  return false;
}

bool AppendItem(const ImportColumn& column, std::string_view item, UnitColumn* out,
                std::string* reason) {
  if (item.empty()) return Refuse(column, item, "is an empty item of a list", reason);
  if (column.kind() == INTEGER_IDS) {
    const auto value = ParseInteger(Trimmed(item));
    if (!value) return Refuse(column, item, "in a list is not an integer", reason);
    out->AddIntegerItem(*value);
    return true;
  }
  if (!IsUtf8(item)) return Refuse(column, item, "in a list is not UTF-8", reason);
  out->AddTextItem(item);
  return true;
}

bool AppendList(const ImportColumn& column, std::string_view text, UnitColumn* out,
                std::string* reason) {
  ListCursor cursor(text, column.separator()[0]);
  for (std::string_view item; cursor.Next(&item);) {
    if (!AppendItem(column, item, out, reason)) return false;
  }
  if (cursor.problem() != nullptr) return Refuse(column, text, cursor.problem(), reason);
  out->EndList();
  return true;
}

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int64_t Digits(std::string_view text) {
  int64_t value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}

std::optional<int64_t> ParseDate(std::string_view y, std::string_view m, std::string_view d) {
  if (!IsDigits(y) || !IsDigits(m) || !IsDigits(d)) return {};
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(Digits(y))),
                                         std::chrono::month(static_cast<unsigned>(Digits(m))),
                                         std::chrono::day(static_cast<unsigned>(Digits(d))));
  if (!date.ok()) return {};
  return std::chrono::sys_seconds(std::chrono::sys_days(date)).time_since_epoch().count();
}

// "17", "17:05", "17:05:09.25", with or without Z behind.
std::optional<int64_t> ParseClock(std::string_view text) {
  if (text.ends_with('Z')) text.remove_suffix(1);
  if (const size_t dot = text.find('.'); dot != std::string_view::npos) {
    if (!IsDigits(text.substr(dot + 1))) return {};
    text = text.substr(0, dot);
  }
  int64_t parts[3] = {0, 0, 0};
  for (int i = 0; i < 3; ++i) {
    if (text.size() < 2 || !IsDigits(text.substr(0, 2))) return {};
    parts[i] = Digits(text.substr(0, 2));
    text.remove_prefix(2);
    if (text.empty()) break;
    if (text.front() != ':' || i == 2) return {};
    text.remove_prefix(1);
  }
  if (parts[0] > 23 || parts[1] > 59 || parts[2] > 60) return {};
  return parts[0] * 3600 + parts[1] * 60 + parts[2];
}

}  // namespace

bool IsUtf8(std::string_view text) {
  static const bool ready = [] {
    arrow::util::InitializeUTF8();
    return true;
  }();
  return ready && arrow::util::ValidateUTF8(text);
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return {};
  const std::string_view digits = text.substr(text.front() == '-' ? 1 : 0);
  if (digits.front() == '0' && text.size() > 1) return {};
  return value;
}

std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && at == end) return value;
  if (text == "true" || text == "True" || text == "TRUE") return 1;
  if (text == "false" || text == "False" || text == "FALSE") return 0;
  return {};
}

std::optional<int64_t> ParseTime(std::string_view text) {
  if (IsDigits(text)) {
    if (text.size() == 8) return ParseDate(text.substr(0, 4), text.substr(4, 2), text.substr(6));
    if (text.size() == 10 || text.size() == 9) return Digits(text);
    if (text.size() == 13 || text.size() == 12) return Digits(text) / 1000;
    return {};
  }
  if (text.size() < 10 || (text[4] != '-' && text[4] != '/') || text[7] != text[4]) return {};
  const auto date = ParseDate(text.substr(0, 4), text.substr(5, 2), text.substr(8, 2));
  if (!date || text.size() == 10) return date;
  if (text[10] != ' ' && text[10] != 'T') return {};
  const auto clock = ParseClock(text.substr(11));
  if (!clock) return {};
  return *date + *clock;
}

int64_t PartOfTime(TimePart part, int64_t seconds) {
  const int64_t hours = (seconds - (seconds % 3600 + 3600) % 3600) / 3600;
  const int64_t of_week = ((hours + 72) % 168 + 168) % 168;  // 1970 began on a Thursday
  switch (part) {
    case HOUR_OF_WEEK:
      return of_week;
    case HOUR_OF_DAY:
      return of_week % 24;
    case DAY_OF_WEEK:
      return of_week / 24;
    default:
      return seconds;
  }
}

bool AppendNumber(const ImportColumn& column, double value, UnitColumn* out, std::string* reason) {
  const char* wrong = nullptr;
  if (!std::isfinite(value)) {
    wrong = " is not finite";
  } else if (column.label() && value != 0 && value != 1) {
    wrong = ", the label, is not 0 or 1";
  } else if (column.weight() && !IsWeight(value)) {
    wrong = ", the weight, is below 0 or does not fit a float";
  }
  if (!wrong) {
    out->AddNumber(value);
    return true;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  *reason = column.name() + " " + text + wrong;
  return false;
}

bool AppendCell(const ImportColumn& column, std::string_view text, UnitColumn* out,
                std::string* reason) {
  if (column.time() != WHOLE) {
    const auto seconds = ParseTime(text);
    if (!seconds) return Refuse(column, text, "is no date or time", reason);
    out->AddInteger(PartOfTime(column.time(), *seconds));
    return true;
  }
  switch (column.kind()) {
    case INTEGER_ID:
      if (const auto value = ParseInteger(text)) {
        out->AddInteger(*value);
        return true;
      }
      return Refuse(column, text, "is not an integer of 64 bits", reason);
    case NUMBER:
      if (const auto value = ParseNumber(text)) return AppendNumber(column, *value, out, reason);
      return Refuse(column, text, "is not a number", reason);
    case STRING_ID:
      if (IsUtf8(text)) {
        out->AddText(text);
      } else if (column.slice()) {
        out->AddMissing();
      } else {
        return Refuse(column, text, "is not UTF-8", reason);
      }
      return true;
    default:
      return AppendList(column, text, out, reason);
  }
}

bool AppendMissing(const ImportColumn& column, UnitColumn* out, std::string* reason) {
  if (column.required()) {
    *reason = column.name() + " is missing" +
              (column.label()    ? ", and it is the label"
               : column.weight() ? ", and it is the weight"
                                 : " and the feature has no `missing` value");
    return false;
  }
  out->AddMissing();
  return true;
}

}  // namespace trestle
