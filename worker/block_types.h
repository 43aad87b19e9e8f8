// Which Arrow types a column may have for its meaning, and what to tell a user whose column has
// another.
//
// Thread safety: pure functions. Arrow is named here, not included.
#pragma once

#include <string>

namespace arrow {
class DataType;
}

namespace trestle {

enum class ColumnRole { kLabel, kGroup, kWeight, kId, kSequence, kNumeric, kSlice };

// Keys of integers and keys of strings never meet: a table must be fed with one kind.
enum class KeyKind { kNone, kInteger, kString };

// Kind of the keys in an id, group or sequence column; kNone if the type is not allowed there.
KeyKind KeyKindOf(ColumnRole role, const arrow::DataType& type);

// Empty if the type is allowed, else "is double; an id must be ...: <cure>".
std::string TypeProblem(ColumnRole role, const arrow::DataType& type);

}  // namespace trestle
