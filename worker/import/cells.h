// From the text of a cell to a value of its column. Nothing is rounded, cut or guessed: what is not
// exactly such a value is refused with a reason.
//
//   integers  -12; not 1.0, +1, 007 (whose text would not come back), nor beyond 64 bits
//   numbers   1, -2.5, 1e-3, true, false; finite
//   strings   UTF-8, as they are
//   lists     items between separators; [1, 2] and ["a", "b"] likewise (list_cursor.h)
//   times     2024-03-31, 2024-03-31 17:05[:09[.25]][Z], 20240331, or seconds (10 digits) or
//             milliseconds (13) since 1970
//
// Thread safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "worker/import/cache.pb.h"
#include "worker/import/unit_columns.h"

namespace trestle {

std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseNumber(std::string_view text);
// Seconds since 1970, as if all were in UTC.
std::optional<int64_t> ParseTime(std::string_view text);
int64_t PartOfTime(TimePart part, int64_t seconds);
bool IsUtf8(std::string_view text);

// Appends a cell that is not missing to its column. False with a reason, as "price 1,5 is not a
// number", if it is refused; the column then may hold items of a list that has not ended.
bool AppendCell(const ImportColumn& column, std::string_view text, UnitColumn* out,
                std::string* reason);
// Appends a missing one. False with a reason if the column requires one.
bool AppendMissing(const ImportColumn& column, UnitColumn* out, std::string* reason);

// Appends values of files that have types.
bool AppendNumber(const ImportColumn& column, double value, UnitColumn* out, std::string* reason);

}  // namespace trestle
