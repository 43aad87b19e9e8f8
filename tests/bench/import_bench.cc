// How fast a raw CSV of 20 columns becomes blocks, beside DuckDB's own COPY of it to Parquet on as
// many threads: both take turns in one run, each as a program of its own whose peak memory the
// system tells. What was imported is read back and compared with what was generated.
//
//   import_bench [--mb N] [--rounds N] [--threads N] [--folder DIR]      64 MB, 1 round, 2 threads
#include <glog/logging.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "base/hash.h"
#include "launcher/config.h"
#include "launcher/job_plan.h"
#include "tests/support/temp_dir.h"
#include "worker/import/import.h"
#include "worker/input.h"

namespace trestle {
namespace {

struct Settings {
  int64_t megabytes = 64;
  int rounds = 1;
  int threads = 2;
  std::string folder;
};

// Sums that a reader of all rows can compare.
struct Sums {
  int64_t rows = 0, clicks = 0;
  uint64_t users = 0, tags = 0;
  bool operator==(const Sums&) const = default;
};

constexpr char kHeader[] =
    "clk,time,user_id,item_id,cate_id,brand_id,campaign_id,customer_id,pid,age_level,gender,"
    "city,device,os,query,tags,price,discount,dwell,position\n";

class RowWriter {
 public:
  explicit RowWriter(Sums* sums) : sums_(*sums) {}

  void Append(std::string* out) {
    const bool click = Draw(20) == 0;
    const uint64_t user = 1'000'000 + Draw(2'000'000);
    sums_.rows += 1;
    sums_.clicks += click ? 1 : 0;
    sums_.users += Mix64(user);
    out_ = out;
    *out += click ? '1' : '0';
    Time();
    Integer(user);
    for (const uint64_t kinds : {800'000, 12'000, 90'000, 400'000, 200'000}) Integer(Draw(kinds));
    *out += Draw(2) ? ",430548_1007" : ",430539_1007";
    Integer(Draw(7));
    *out += Draw(2) ? ",m" : ",f";
    *out += ",city_";
    Digits(Draw(3000));
    *out += Draw(3) ? ",phone" : ",\"tablet, large\"";
    *out += Draw(2) ? ",android" : ",ios";
    *out += ",\"q ";
    Digits(Draw(500'000));
    *out += "\",";
    Tags();
    Decimal(Draw(100'000), 2);
    Decimal(Draw(100), 1);
    if (Draw(10) == 0) {
      *out += ',';
    } else {
      Decimal(Draw(10'000'000), 3);
    }
    Integer(Draw(50));
    *out += '\n';
  }

 private:
  uint64_t Draw(uint64_t kinds) {
    state_ += 0x9E3779B97F4A7C15ull;
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Mix64(state_)) * kinds) >> 64);
  }
  void Digits(uint64_t value) {
    char text[24];
    out_->append(text, std::to_chars(text, text + sizeof(text), value).ptr);
  }
  void Integer(uint64_t value) {
    *out_ += ',';
    Digits(value);
  }
  void Decimal(uint64_t value, int places) {
    char text[32];
    uint64_t unit = 1;
    for (int i = 0; i < places; ++i) unit *= 10;
    out_->append(text, static_cast<size_t>(std::snprintf(text, sizeof(text), ",%lu.%0*lu",
                                                         value / unit, places, value % unit)));
  }
  void Time() {
    char text[32];
    const uint64_t seconds = Draw(28 * 86'400);
    out_->append(text,
                 static_cast<size_t>(std::snprintf(
                     text, sizeof(text), ",2024-02-%02lu %02lu:%02lu:%02lu", 1 + seconds / 86'400,
                     seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)));
  }
  void Tags() {
    for (uint64_t n = Draw(6); n > 0; --n) {
      const uint64_t tag = Draw(5000);
      sums_.tags += Mix64(tag);
      Digits(tag);
      if (n > 1) *out_ += '|';
    }
  }

  Sums& sums_;
  std::string* out_ = nullptr;
  uint64_t state_ = 1;
};

int64_t Generate(const std::string& path, int64_t bytes, Sums* sums) {
  std::ofstream file(path, std::ios::binary);
  RowWriter writer(sums);
  std::string piece = kHeader;
  int64_t written = 0;
  while (written < bytes) {
    while (piece.size() < (4 << 20) && written + static_cast<int64_t>(piece.size()) < bytes) {
      writer.Append(&piece);
    }
    file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    written += static_cast<int64_t>(piece.size());
    piece.clear();
  }
  file.close();
  CHECK(file.good()) << path;
  return written;
}

std::string ConfigFor(const Settings& settings) {
  const std::string& dir = settings.folder;
  return "data { train: \"" + dir + "/raw.csv\" label: \"clk\" group: \"user_id\" cache: \"" + dir +
         R"(/cache" }
features {
  id { columns: ["user_id", "item_id", "cate_id", "brand_id", "campaign_id", "customer_id",
                 "age_level", "position"] type: INTEGER }
  id { columns: ["pid", "gender", "city", "device", "os", "query"] type: STRING }
  id { columns: "time" time: HOUR_OF_WEEK }
  sequence { columns: "tags" type: INTEGER }
  numeric { columns: ["price", "discount", "dwell"] scale: STANDARD missing: 0 }
}
model { base { } }
)";
}

struct Measured {
  double seconds = 0;
  double peak_mb = 0;
};

Measured Run(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::fflush(stdout);  // or the child writes it once more
  const auto start = std::chrono::steady_clock::now();
  const pid_t pid = ::fork();
  CHECK_GE(pid, 0);
  if (pid == 0) {
    std::freopen("/dev/null", "w", stdout);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  rusage usage;
  CHECK_EQ(::wait4(pid, &status, 0, &usage), pid);
  CHECK_EQ(status, 0) << arguments[0] << " failed";
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return {took.count(), static_cast<double>(usage.ru_maxrss) / 1024};
}

Measured RunImport(const Settings& settings) {
  std::filesystem::remove_all(settings.folder + "/cache");
  return Run({std::string(TRESTLE_BINARY_DIR) + "/bin/trestle", "prepare", "import",
              settings.folder + "/import.textproto", "--threads",
              std::to_string(settings.threads)});
}

Measured RunDuckDb(const Settings& settings) {
  const std::string& dir = settings.folder;
  std::filesystem::remove(dir + "/duckdb.parquet");
  return Run({std::string(TRESTLE_SOURCE_DIR) + "/.venv/bin/duckdb", "-c",
              "SET threads=" + std::to_string(settings.threads) + "; COPY (FROM '" + dir +
                  "/raw.csv') TO '" + dir + "/duckdb.parquet' (FORMAT parquet)"});
}

Sums ReadBack(const Settings& settings) {
  const auto loaded = LoadConfig(settings.folder + "/import.textproto", {}).value();
  const JobPlan plan = MakeJobPlan(loaded).value();
  const auto input =
      PrepareInput(plan.schema, loaded.config.data(), {}, FileSystem::Local()).value();
  CHECK_EQ(input.imported, 0) << "the cache is complete";
  const auto dataset = OpenDataset(plan.schema, {input.train, plan.TableSeeds()}).value();
  PlanOptions options;
  options.order = TIME;
  options.statistics.resize(plan.schema.numeric.size());
  auto reader = OpenLanes(*dataset, options, FileSystem::Local()).value();
  Sums sums;
  while (const auto step = reader->Next().value()) {
    for (const LaneRows& lane : *step) {
      sums.rows += lane.rows;
      for (const float label : lane.labels) sums.clicks += label > 0 ? 1 : 0;
      for (const Key key : lane.slots[0].keys) sums.users += Mix64(key.value);
      for (const Key key : lane.slots.back().keys) sums.tags += Mix64(key.value);
    }
  }
  CHECK_EQ(reader->ledger().rejected, 0);
  return sums;
}

double FolderMb(const std::string& folder) {
  double bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<double>(entry.file_size());
  }
  return bytes / 1e6;
}

void Main(const Settings& settings) {
  Sums expected;
  const std::string raw = settings.folder + "/raw.csv";
  const int64_t bytes = Generate(raw, settings.megabytes * 1'000'000, &expected);
  std::ofstream(settings.folder + "/import.textproto") << ConfigFor(settings);
  const auto rows = static_cast<double>(expected.rows);
  std::printf("raw.csv: %.0f MB, %ld rows of 20 columns, %d threads\n",
              static_cast<double>(bytes) / 1e6, static_cast<long>(expected.rows), settings.threads);
  std::printf("%5s %-8s %9s %11s %9s %9s\n", "round", "program", "seconds", "rows/s", "peak MB",
              "output MB");
  std::vector<double> ratios;
  for (int round = 1; round <= settings.rounds; ++round) {
    const Measured duck = RunDuckDb(settings);
    std::printf(
        "%5d %-8s %9.2f %11.0f %9.0f %9.0f\n", round, "duckdb", duck.seconds, rows / duck.seconds,
        duck.peak_mb,
        static_cast<double>(std::filesystem::file_size(settings.folder + "/duckdb.parquet")) / 1e6);
    const Measured ours = RunImport(settings);
    std::printf("%5d %-8s %9.2f %11.0f %9.0f %9.0f\n", round, "trestle", ours.seconds,
                rows / ours.seconds, ours.peak_mb, FolderMb(settings.folder + "/cache"));
    ratios.push_back(duck.seconds / ours.seconds);
    std::fflush(stdout);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("trestle / duckdb, rows/s: median %.2f of %zu rounds, %.2f to %.2f\n",
              ratios[ratios.size() / 2], ratios.size(), ratios.front(), ratios.back());
  CHECK(ReadBack(settings) == expected) << "the cache does not hold what was generated";
  std::printf("read back: all %ld rows as generated\n", static_cast<long>(expected.rows));
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) {
  const trestle::TempDir scratch("import_bench");
  trestle::Settings settings;
  settings.folder = scratch.path();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--mb") settings.megabytes = std::atoll(argv[i + 1]);
    if (flag == "--rounds") settings.rounds = std::atoi(argv[i + 1]);
    if (flag == "--threads") settings.threads = std::atoi(argv[i + 1]);
    if (flag == "--folder") settings.folder = argv[i + 1];
  }
  std::filesystem::create_directories(settings.folder);
  trestle::Main(settings);
}
