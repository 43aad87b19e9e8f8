// A small training job for tests of the whole program: Parquet files and a config in a folder of
// its own. Thread safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/parquet_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trestle_job.h"

namespace trestle {

class SmallJob {
 public:
  static constexpr int64_t kRows = 4000;

  SmallJob() {
    WriteRows("train.parquet", kRows, 0);
    // Users and items that training never saw among them, the same ones in many rows.
    WriteRows("test.parquet", 1500, 40);
  }

  // Rows of the same columns; `offset` moves users and items. Returns the path.
  std::string WriteRows(const std::string& name, int64_t rows, int64_t offset) const {
    WriteParquet(dir_.Join(name), Columns(rows, offset), 1000);
    return dir_.Join(name);
  }

  std::string Config(const std::string& more = "") const {
    return dir_.Write("config.textproto",
                      "data { train: \"" + dir_.Join("train.parquet") + "\" test: \"" +
                          dir_.Join("test.parquet") +
                          "\" label: \"click\" group: \"user\" }\n"
                          "features {\n"
                          "  id { columns: [\"user\", \"item\"] dim: 4 }\n"
                          "  sequence { columns: \"hist\" like: \"item\" }\n"
                          "  numeric { columns: \"price\" scale: STANDARD }\n"
                          "}\n"
                          "model { din { candidate: \"item\" history: \"hist\" } }\n"
                          "batch { rows: 256 lanes: 8 }\n"
                          "cluster { threads: 1 deadline_s: 60 }\n"
                          "checkpoint { dir: \"" +
                          run_folder() + "\" }\n" + more);
  }
  std::string run_folder() const { return dir_.Join("run"); }
  std::string train_file() const { return dir_.Join("train.parquet"); }
  const TempDir& dir() const { return dir_; }

  // Of a file of so many rows, with ids from `offset` on.
  static std::vector<FileColumn> Columns(int64_t rows, int64_t offset) {
    std::vector<int64_t> user, item, click;
    std::vector<double> price;
    std::vector<std::vector<int64_t>> history;
    for (int64_t i = 0; i < rows; ++i) {
      user.push_back(i % 97 + offset);
      item.push_back(i * 7 % 53 + offset);
      click.push_back(i * i % 7 < 2);
      price.push_back(0.25 * static_cast<double>(i % 11));
      history.emplace_back(static_cast<size_t>(i % 5), i % 53);
    }
    return {{"user", Int64s(user)},
            {"item", Int64s(item)},
            {"hist", Int64Lists(history)},
            {"price", Doubles(price)},
            {"click", Int64s(click)}};
  }

 private:
  TempDir dir_{"job"};
};

}  // namespace trestle
