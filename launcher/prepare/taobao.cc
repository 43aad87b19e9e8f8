#include "launcher/prepare/taobao.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "launcher/prepare/duckdb.h"
#include "launcher/prepare/prepared_folder.h"
#include "launcher/prepare/sql_steps.h"

namespace trestle {
namespace {

struct RawFile {
  const char* name;
  const char* header;  // without the blank that Alibaba's user_profile.csv has at its end
};

constexpr RawFile kRawFiles[] = {
    {"raw_sample.csv", "user,time_stamp,adgroup_id,pid,nonclk,clk"},
    {"ad_feature.csv", "adgroup_id,cate_id,campaign_id,customer,brand,price"},
    {"user_profile.csv",
     "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,"
     "occupation,new_user_class_level"},
    {"behavior_log.csv", "user,time_stamp,btag,cate,brand"},
};

Status CheckRawFile(FileSystem& fs, const std::string& folder, const RawFile& file) {
  const std::string path = folder + "/" + file.name;
  if (!fs.Exists(path)) {
    const bool packed = fs.Exists(path + ".tar.gz");
    return {StatusCode::kNotFound,
            path + " is missing" + (packed ? "; unpack it: tar -xzf " + path + ".tar.gz" : "")};
  }
  TRESTLE_ASSIGN_OR_RETURN(const std::string start, fs.ReadRange(path, 0, 4096));
  std::string header = start.substr(0, start.find('\n'));
  header.erase(header.find_last_not_of(" \r") + 1);
  if (header == file.header) return {};
  return {StatusCode::kInvalidData, path + ":1: the header is \"" + header.substr(0, 200) +
                                        "\", expected \"" + file.header + "\""};
}

// What the steps counted.
struct Counts {
  int64_t train_rows = 0, test_rows = 0;
  int64_t outside = 0;  // impressions of other days
  int64_t no_history = 0, no_profile = 0, no_ad = 0;
  int64_t behaviours = 0, no_time = 0;
  int64_t joined = 0, written = 0, clicks = 0;
  int64_t train_files = 0, test_files = 0;
};

class Preparation {
 public:
  Preparation(FileSystem& fs, const PrepareTaobaoOptions& options, const DuckDb& duckdb,
              PreparedFolder& folder, std::ostream& progress)
      : fs_(fs),
        options_(options),
        duckdb_(duckdb),
        folder_(folder),
        progress_(progress),
        steps_(TaobaoSql()) {}

  Result<Counts> Run() {
    TRESTLE_RETURN_IF_ERROR(Count());
    TRESTLE_RETURN_IF_ERROR(Plan());
    TRESTLE_RETURN_IF_ERROR(Spread());
    TRESTLE_RETURN_IF_ERROR(Join());
    TRESTLE_RETURN_IF_ERROR(Order());
    TRESTLE_RETURN_IF_ERROR(Check());
    return counts_;
  }

 private:
  using Rows = DuckDb::Rows;

  void Say(const std::string& what) { progress_ << "prepare: " << what << "\n" << std::flush; }

  // One process of DuckDB among `at_once`. What it takes besides what it counts is left to it.
  SqlJob Job(const std::string& step, int64_t index, int at_once, SqlSteps::Values variables) {
    constexpr uint64_t kUncounted = uint64_t{64} << 20;
    const uint64_t bytes = options_.memory / static_cast<uint64_t>(at_once) - kUncounted;
    const std::string name = step + "-" + std::to_string(index);
    const SqlSteps::Values settings = {
        {"memory_limit", SqlText(std::to_string(bytes >> 10) + "KiB")},
        {"threads", at_once == 1 && step == "spread" ? std::to_string(options_.threads) : "1"},
        {"temp_directory", SqlText(folder_.Work("scratch/" + name + ".tmp"))},
        {"partitioned_write_max_open_files", "500"}};
    variables["raw"] = SqlText(std::filesystem::absolute(options_.raw).string());
    variables["work"] = SqlText(folder_.Work("scratch"));
    variables["buckets"] = std::to_string(buckets_);
    variables["in_time_order"] = options_.in_time_order ? "true" : "false";
    variables["train_rows"] = std::to_string(counts_.train_rows);
    variables["test_rows"] = std::to_string(counts_.test_rows);
    variables["train_slices"] = std::to_string(train_slices_);
    variables["test_slices"] = std::to_string(test_slices_);
    return {folder_.Work("scratch/" + name + ".sql"), steps_.Script(step, settings, variables)};
  }

  Result<std::vector<int64_t>> RunOne(const std::string& step, size_t columns) {
    std::vector<int64_t> row;
    TRESTLE_RETURN_IF_ERROR(
        duckdb_.Run(fs_, {Job(step, 0, 1, {})}, 1, [&](size_t, const Rows& rows) -> Status {
          TRESTLE_ASSIGN_OR_RETURN(row, OnlyRow(rows, columns));
          return {};
        }));
    return row;
  }

  static Result<std::vector<int64_t>> OnlyRow(const Rows& rows, size_t columns) {
    if (rows.size() == 1 && rows[0].size() == columns) return rows[0];
    return Status(StatusCode::kInternal,
                  "a step of prepare/taobao.sql printed other rows than one of " +
                      std::to_string(columns) + " numbers");
  }

  Status Count() {
    Say("counting impressions");
    TRESTLE_ASSIGN_OR_RETURN(const auto row, RunOne("count", 4));
    counts_.train_rows = row[0];
    counts_.test_rows = row[1];
    counts_.outside = row[2];
    if (row[3] != 0) {
      return {
          StatusCode::kInvalidData,
          options_.raw + "/raw_sample.csv: in " + std::to_string(row[3]) +
              " rows clk and nonclk are not 0 and 1 or 1 and 0, or an id or the time is missing"};
    }
    if (row[0] == 0) {
      return {StatusCode::kInvalidData,
              options_.raw +
                  "/raw_sample.csv: no impressions from 2017-05-06 to 2017-05-12 (Beijing's days)"};
    }
    return {};
  }

  // Measured: a bucket takes 5 bytes for a byte of behavior_log.csv in it and 16 for one of
  // raw_sample.csv; a third is left for buckets that are larger than others.
  Status Plan() {
    at_once_ = static_cast<int>(std::clamp<uint64_t>(options_.memory / kPrepareLeastMemory, 1,
                                                     static_cast<uint64_t>(options_.threads)));
    TRESTLE_ASSIGN_OR_RETURN(const int64_t log, fs_.Size(options_.raw + "/behavior_log.csv"));
    TRESTLE_ASSIGN_OR_RETURN(const int64_t samples, fs_.Size(options_.raw + "/raw_sample.csv"));
    const int64_t bytes_at_once = static_cast<int64_t>(options_.memory) / at_once_ * 2 / 3;
    buckets_ =
        options_.buckets > 0 ? options_.buckets : (5 * log + 16 * samples) / bytes_at_once + 1;
    train_slices_ = (counts_.train_rows + options_.file_rows - 1) / options_.file_rows;
    test_slices_ = (counts_.test_rows + options_.file_rows - 1) / options_.file_rows;
    return {};
  }

  Status Spread() {
    Say("cutting the logs into " + std::to_string(buckets_) + " buckets of users");
    TRESTLE_ASSIGN_OR_RETURN(const auto row, RunOne("spread", 2));
    const char* files[] = {"ad_feature.csv", "user_profile.csv"};
    for (size_t i = 0; i < 2; ++i) {
      if (row[i] == 0) continue;
      return {StatusCode::kInvalidData, options_.raw + "/" + files[i] + ": " +
                                            std::to_string(row[i]) +
                                            " rows repeat or lack the id that must occur once"};
    }
    if (!fs_.Exists(folder_.Work("scratch/behaviours"))) {
      return {StatusCode::kInvalidData, options_.raw + "/behavior_log.csv: holds no behaviours"};
    }
    return {};
  }

  Status Join() {
    Say("joining histories, ads and profiles, " + std::to_string(at_once_) + " at a time");
    TRESTLE_RETURN_IF_ERROR(fs_.MakeDirectories(folder_.Work("scratch/slices")));
    std::vector<SqlJob> jobs;
    for (int64_t i = 0; i < buckets_; ++i) {
      TRESTLE_ASSIGN_OR_RETURN(const std::string behaviours, BucketFiles("behaviours", i));
      TRESTLE_ASSIGN_OR_RETURN(const std::string impressions, BucketFiles("impressions", i));
      jobs.push_back(Job("join", i, at_once_,
                         {{"bucket", std::to_string(i)},
                          {"behaviours", behaviours},
                          {"impressions", impressions}}));
    }
    return duckdb_.Run(fs_, jobs, at_once_, [&](size_t bucket, const Rows& rows) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(const auto row, OnlyRow(rows, 6));
      counts_.joined += row[0];
      counts_.no_history += row[1];
      counts_.behaviours += row[2];
      counts_.no_time += row[3];
      counts_.no_profile += row[4];
      counts_.no_ad += row[5];
      for (const std::string what : {"behaviours", "impressions"}) {
        TRESTLE_RETURN_IF_ERROR(
            folder_.RemoveTree("scratch/" + what + "/bucket=" + std::to_string(bucket)));
      }
      SayDone(++joined_buckets_, jobs.size(), "buckets joined");
      return {};
    });
  }

  // A list in SQL of the files of a bucket, which may hold nothing; the first has no rows.
  Result<std::string> BucketFiles(const std::string& what, int64_t bucket) {
    TRESTLE_ASSIGN_OR_RETURN(const auto files,
                             fs_.Glob(folder_.Work("scratch/" + what + "/bucket=" +
                                                   std::to_string(bucket) + "/*.parquet")));
    std::string list = "[" + SqlText(folder_.Work("scratch/no_" + what + ".parquet"));
    for (const std::string& file : files) list += ", " + SqlText(file);
    return list + "]";
  }

  // A line for each tenth.
  void SayDone(size_t done, size_t all, const std::string& what) {
    if (done * 10 / all == (done - 1) * 10 / all) return;
    Say(std::to_string(done) + " of " + std::to_string(all) + " " + what);
  }

  // Slices without rows make no file: in time order a minute is not cut.
  Status Order() {
    Say("ordering " + std::to_string(train_slices_ + test_slices_) + " files");
    std::vector<SqlJob> jobs;
    std::vector<std::string> slices;
    for (int64_t i = 0; i < train_slices_ + test_slices_; ++i) {
      const std::string slice = "/slice=" + std::to_string(i);
      TRESTLE_ASSIGN_OR_RETURN(const auto parts,
                               fs_.Glob(folder_.Work("scratch/slices/*" + slice)));
      if (parts.empty()) continue;
      int64_t& files = i < train_slices_ ? counts_.train_files : counts_.test_files;
      std::array<char, 64> name;
      std::snprintf(name.data(), name.size(), "%s/part-%05ld.parquet",
                    i < train_slices_ ? "train" : "test", static_cast<long>(files++));
      jobs.push_back(
          Job("order", i, at_once_,
              {{"slice", std::to_string(i)}, {"file", SqlText(folder_.Work(name.data()))}}));
      slices.push_back(slice);
    }
    size_t done = 0;
    return duckdb_.Run(fs_, jobs, at_once_, [&](size_t job, const Rows& rows) -> Status {
      TRESTLE_ASSIGN_OR_RETURN(const auto row, OnlyRow(rows, 2));
      counts_.written += row[0];
      counts_.clicks += row[1];
      TRESTLE_RETURN_IF_ERROR(RemoveSlice(slices[job]));
      SayDone(++done, jobs.size(), "files written");
      return {};
    });
  }

  Status RemoveSlice(const std::string& slice) {
    for (int64_t bucket = 0; bucket < buckets_; ++bucket) {
      TRESTLE_RETURN_IF_ERROR(
          folder_.RemoveTree("scratch/slices/" + std::to_string(bucket) + slice));
    }
    return {};
  }

  Status Check() const {
    const int64_t expected = counts_.train_rows + counts_.test_rows;
    if (counts_.joined == expected && counts_.written == expected) return {};
    return {StatusCode::kInternal, "of " + std::to_string(expected) + " impressions " +
                                       std::to_string(counts_.joined) + " were joined and " +
                                       std::to_string(counts_.written) + " written"};
  }

  FileSystem& fs_;
  const PrepareTaobaoOptions& options_;
  const DuckDb& duckdb_;
  PreparedFolder& folder_;
  std::ostream& progress_;
  const SqlSteps steps_;
  Counts counts_;
  int at_once_ = 1;
  int64_t buckets_ = 1, train_slices_ = 1, test_slices_ = 0;
  size_t joined_buckets_ = 0;
};

nlohmann::ordered_json ToJson(const Counts& c, bool in_time_order) {
  return {{"data", "taobao"},
          {"order", in_time_order ? "TIME" : "SHUFFLE"},
          {"train_rows", c.train_rows},
          {"train_files", c.train_files},
          {"test_rows", c.test_rows},
          {"test_files", c.test_files},
          {"clicks", c.clicks},
          {"behaviours", c.behaviours},
          {"rows_without_history", c.no_history},
          {"rows_without_profile", c.no_profile},
          {"rows_without_ad", c.no_ad},
          {"left_out_impressions_of_other_days", c.outside},
          {"left_out_behaviours_without_time", c.no_time}};
}

}  // namespace

Status PrepareTaobao(FileSystem& fs, const PrepareTaobaoOptions& options, std::ostream& out,
                     std::ostream& progress) {
  if (options.memory < kPrepareLeastMemory) {
    return {StatusCode::kInvalidConfig, "--memory: at least 512MB"};
  }
  for (const std::string& folder : {options.raw, options.out}) {
    if (folder.find_first_of("*?[") == std::string::npos) continue;
    return {StatusCode::kInvalidConfig,
            folder + ": DuckDB takes *, ? and [ for patterns; use a folder without them"};
  }
  for (const RawFile& file : kRawFiles) {
    TRESTLE_RETURN_IF_ERROR(CheckRawFile(fs, options.raw, file));
  }
  // Before the folder, so that a signal cannot end this process until that is cleared up.
  TRESTLE_ASSIGN_OR_RETURN(const DuckDb duckdb, DuckDb::Find(options.duckdb));
  TRESTLE_ASSIGN_OR_RETURN(const auto folder, PreparedFolder::Open(fs, options.out, options.force));
  if (folder->begins_anew()) {
    progress << "prepare: " << options.out
             << ": begins anew; what an earlier call left is removed\n";
  }
  Preparation preparation(fs, options, duckdb, *folder, progress);
  TRESTLE_ASSIGN_OR_RETURN(const Counts counts, preparation.Run());
  const nlohmann::ordered_json json = ToJson(counts, options.in_time_order);
  TRESTLE_RETURN_IF_ERROR(folder->Finish(json.dump(1) + "\n"));
  out << options.out << ": " << json.dump(1) << "\n";
  return {};
}

}  // namespace trestle
