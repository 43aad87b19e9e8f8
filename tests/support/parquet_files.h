// Parquet and Arrow IPC files for tests and benches, from JSON or from vectors.
//
//   WriteParquet(path, {{"clk", Values("int64", "[0, 1]")}, {"hist", Values("list<int64>", "[[1],
//   []]")}}, 100)
//
// Thread safety: pure but for the files. Errors: CHECK.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace arrow {
class Array;
}

namespace trestle {

struct FileColumn {
  std::string name;
  std::shared_ptr<arrow::Array> values;
};

// JSON as Arrow reads it. Types: int8 .. uint64, halffloat, float, double, bool, string,
// large_string, date32, list<T>, large_list<T>, dictionary<T> (of 32-bit indices).
std::shared_ptr<arrow::Array> Values(const std::string& type, const std::string& json);

std::shared_ptr<arrow::Array> Int64s(const std::vector<int64_t>& values);
std::shared_ptr<arrow::Array> Doubles(const std::vector<double>& values);
std::shared_ptr<arrow::Array> Int64Lists(const std::vector<std::vector<int64_t>>& lists);

// Row groups of `group_rows` rows, the last one smaller; no group at all for no rows.
void WriteParquet(const std::string& path, const std::vector<FileColumn>& columns,
                  int64_t group_rows);
// Record batches likewise.
void WriteIpc(const std::string& path, const std::vector<FileColumn>& columns, int64_t batch_rows);

}  // namespace trestle
