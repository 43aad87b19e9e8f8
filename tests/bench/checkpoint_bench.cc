// What a checkpoint costs: a table of dim 16 with Adagrad is written while training goes on and
// while it stands still, and is loaded again, against what the disk gives in the same round.
//   dd      `dd if=/dev/zero conv=fsync` of as many bytes into the same folder
//   write   RankFiles, as a job does it: from the mark to synced files and folder
//   read    the same files from front to back into one small buffer, nothing done with the bytes;
//           "to memory": into memory that holds them all, as whoever wants the rows must have it
//           (where a hypervisor has to find the pages first, that is most of the time)
//   load    every byte of rows verified and inserted into an empty table, as a resumed job
//           does it before its first step, with all cores
// "cold": the files were dropped from the page cache just before; "warm": they are all in it.
//
// A step pulls and pushes 20,000 distinct keys of Zipf's law, 200 of them new, on one thread, and
// then computes for four times as long as that took before: the stand-in for the network, so that
// the table is a fifth of a step (more than the share in docs/performance.md). "bare": steps
// without it. A step's time is wall time; `before` are steps in the seconds before the mark,
// `during` those from the mark (which is in the first) to the end of the writing.
//
// "beside dd": steps while dd writes as many bytes, the least that a writer can cost: cores may share
// a clock or be one core's two threads, and where the disk is another machine's work, its host may
// take that from the cores.
//
// "cores that others took" while steps ran beside the writer: where it is not near 0, figures of
// steps and of the writer tell of the machine. Both sides of a ratio are taken seconds apart.
//
// Results are checked: the files' digest is the table's at the mark, the loaded table's too, and
// memory stays in its bound. If one is wrong the exit status is 1; slowness is only printed.
//
// Usage: checkpoint_bench [--rows N] [--folder DIR] [--snapshot-mb N] [--rounds N]
//        default 10000000, a folder in the working one that is removed at the end, 512, 3
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/filesystem.h"
#include "base/hash.h"
#include "base/partition.h"
#include "embedding/mapping.h"
#include "embedding/table.h"
#include "ps/checkpoint/checkpoint_reader.h"
#include "ps/checkpoint/manifest.h"
#include "ps/checkpoint/rank_files.h"

namespace trestle {
namespace {

constexpr int kDim = 16;
constexpr size_t kStepKeys = 20'000;
constexpr size_t kNewKeys = 200;  // of them
constexpr int kBatches = 300;     // steps until the old keys repeat
constexpr int kStepsBefore = 150;
constexpr int kDenseTimes = 4;  // as long as the table's part of a step

struct Options {
  int64_t rows = 10'000'000;
  std::string folder = "checkpoint_bench.files";
  int64_t snapshot_mb = 512;
  int rounds = 3;
};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "checkpoint_bench: %s\n", what.c_str());
  std::exit(1);
}
void Must(const Status& status) {
  if (!status.ok()) Fail(status.ToString());
}
template <class T>
T Must(Result<T> result) {
  Must(result.status());
  return std::move(result).value();
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
// Of all threads.
double ProcessSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
// Processor time that was used on the machine by others than this process: their share decides
// whether a thread that gives way runs at all.
double OthersSeconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double ticks[8] = {};  // user, nice, system, idle, iowait, irq, softirq, steal
  stat >> cpu;
  for (double& t : ticks) stat >> t;
  if (!stat) Fail("cannot read /proc/stat");
  const double busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
  return busy / static_cast<double>(sysconf(_SC_CLK_TCK)) - ProcessSeconds();
}
double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

std::unique_ptr<EmbeddingTable> MakeTable(ThreadPool* pool) {
  Table settings;
  settings.set_name("bench");
  settings.set_dim(kDim);
  settings.mutable_optimizer()->mutable_adagrad()->set_lr(0.05f);
  return Must(MakeCpuTable(Must(MakeTableSpec(settings, 1)), pool));
}

// Keys spread over all 64 bits, in no order.
Key KeyOf(uint64_t row) { return Key{Mix64(row ^ 0x9E3779B97F4A7C15ull)}; }

// Trains a table, step after step.
class Training {
 public:
  Training(EmbeddingTable* table, uint64_t rows) : table_(*table), next_row_(rows) {
    std::mt19937_64 random(7);
    for (float& g : gradients_) g = static_cast<float>(random() >> 40) * 0x1p-24f - 0.5f;
    Fill(rows);
    for (int b = 0; b < kBatches; ++b) batches_.push_back(MakeBatch(rows, random));
  }

  // Computes as long as the table's part of a step takes now, kDenseTimes over, from here on.
  void Calibrate() {
    std::vector<double> table, dense;
    for (int i = 0; i < kStepsBefore; ++i) {
      const double begin = ThreadSeconds();
      Step();
      table.push_back(ThreadSeconds() - begin);
    }
    dense_rounds_ = 1000;
    for (int i = 0; i < kStepsBefore; ++i) {
      const double begin = ThreadSeconds();
      Dense();
      dense.push_back(ThreadSeconds() - begin);
    }
    with_dense_ = static_cast<int>(dense_rounds_ * kDenseTimes * Median(table) / Median(dense));
    dense_rounds_ = 0;
  }
  void UseDense(bool use) { dense_rounds_ = use ? with_dense_ : 0; }

  // The seconds it took. `at_begin` is part of it.
  double Step(const std::function<void()>& at_begin = [] {}) {
    std::vector<Key>& keys = batches_[static_cast<size_t>(step_) % kBatches];
    for (size_t i = 0; i < kNewKeys; ++i) keys[i] = KeyOf(next_row_++);
    const double begin = Now();
    at_begin();
    Must(table_.Pull(keys, EmbeddingTable::Missing::kCreate, weights_, handles_).status());
    Dense();
    Must(table_.Push(handles_, gradients_, counts_, ++step_, 1.0f));
    return Now() - begin;
  }

 private:
  // Creates the rows in the order of their numbers and trains each once.
  void Fill(uint64_t rows) {
    std::vector<Key> keys(kStepKeys);
    ++step_;
    for (uint64_t row = 0; row < rows;) {
      const size_t n = std::min<uint64_t>(kStepKeys, rows - row);
      for (size_t i = 0; i < n; ++i) keys[i] = KeyOf(row++);
      const auto handles = std::span(handles_).first(n);
      Must(table_
               .Pull(std::span(keys).first(n), EmbeddingTable::Missing::kCreate,
                     std::span(weights_).first(n * kDim), handles)
               .status());
      Must(table_.Push(handles, std::span(gradients_).first(n * kDim), std::span(counts_).first(n),
                       step_, 1.0f));
    }
  }

  // Row r with probability ~ 1 / (r + 1), by inversion of the continuous law. New keys come first.
  static std::vector<Key> MakeBatch(uint64_t rows, std::mt19937_64& random) {
    const double log_rows = std::log(static_cast<double>(rows));
    std::unordered_set<uint64_t> taken;
    std::vector<Key> keys(kNewKeys);
    while (keys.size() < kStepKeys) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53;
      const auto row = std::min(static_cast<uint64_t>(std::exp(u * log_rows)), rows - 1);
      if (taken.insert(row).second) keys.push_back(KeyOf(row));
    }
    return keys;
  }

  // Multiplies and adds in 16 KiB, which stays in the first-level cache.
  void Dense() {
    for (int round = 0; round < dense_rounds_; ++round) {
      for (float& value : dense_) value = value * 0.999f + 0.001f;
      asm volatile("" : : "r"(dense_.data()) : "memory");
    }
  }

  EmbeddingTable& table_;
  uint64_t next_row_;
  int64_t step_ = 0;
  std::vector<std::vector<Key>> batches_;
  std::vector<float> weights_ = std::vector<float>(kStepKeys * kDim);
  std::vector<float> gradients_ = std::vector<float>(kStepKeys * kDim);
  std::vector<KeyCounts> counts_ = std::vector<KeyCounts>(kStepKeys, {1, 1});
  std::vector<RowHandle> handles_ = std::vector<RowHandle>(kStepKeys);
  std::vector<float> dense_ = std::vector<float>(4096, 1.0f);
  int dense_rounds_ = 0, with_dense_ = 0;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        checkpoint_(options.folder + "/step-00000001.1"),
        table_(MakeTable(&pool_)),
        training_(table_.get(), static_cast<uint64_t>(options.rows)) {
    training_.Calibrate();
  }

  void Run() {
    std::printf("%lld rows of dim %d with Adagrad; snapshots may hold %lld MB; medians of %d\n",
                static_cast<long long>(options_.rows), kDim,
                static_cast<long long>(options_.snapshot_mb), options_.rounds);
    for (int round = 0; round < options_.rounds; ++round) {
      WriteBesideSteps(true, "");
      WriteBesideSteps(false, "bare ");
      WriteAlone();
      WithDisk();  // after the first writes, which tell how many bytes there are
      Load(true);
      Load(false);
      std::printf("round %d:", round + 1);
      for (const auto& [name, values] : figures_) {
        std::printf(" %s %.3g;", name.c_str(), values.back());
      }
      std::printf("\n");
      std::fflush(stdout);
    }
    Print();
  }

 private:
  using Steps = std::vector<double>;

  // A checkpoint from its mark to the end; `while_writing` runs once it was started, and gets
  // whether it has ended. `mark` is to be called at once.
  template <class Mark>
  double Write(const Mark& mark) {
    std::filesystem::remove_all(checkpoint_);
    const uint64_t digest = table_->Digest();
    const int64_t rows = table_->rows();
    std::atomic<double> end{0};
    std::unique_ptr<RankFiles> files;
    double begin = 0;
    mark(
        [&] {
          begin = Now();
          RankFiles::Spec spec;
          spec.folder = checkpoint_;
          spec.server = 0;
          spec.snapshot_bytes = options_.snapshot_mb << 20;
          files = std::make_unique<RankFiles>(FileSystem::Local(), std::move(spec),
                                              std::vector<EmbeddingTable*>{table_.get()},
                                              std::vector<NamedTensor>());
          Must(files->Start([&] { end = Now(); }));
        },
        [&] { return end != 0; });
    Manifest manifest = Must(files->Join());
    if (manifest.tables(0).digest() != digest) Fail("the files have not the digest of the mark");
    if (manifest.tables(0).rows() != rows || manifest.files(0).rows() != rows) {
      Fail("the files have not the rows of the mark");
    }
    const SnapshotMemory& memory = files->memory();
    if (memory.peak() > memory.limit()) Fail("a snapshot held more memory than its bound");
    Note("snapshot memory, MB", static_cast<double>(memory.peak()) / 1e6);
    Note("waited for it, ms", std::chrono::duration<double, std::milli>(memory.waited()).count());
    Complete(std::move(manifest));
    return end - begin;
  }

  // What the leader adds.
  void Complete(Manifest manifest) {
    manifest.set_format(kCheckpointFormat);
    manifest.set_name(std::filesystem::path(checkpoint_).filename());
    TableEntry& table = *manifest.mutable_tables(0);
    table.set_name("bench");
    table.set_dim(kDim);
    table.set_optimizer("adagrad");
    manifest.set_digest(ModelDigest(manifest));
    bytes_ = manifest.files(0).bytes();
    file_ = checkpoint_ + "/" + manifest.files(0).name();
    Must(WriteManifest(FileSystem::Local(), checkpoint_, manifest));
  }

  void WriteBesideSteps(bool dense, const std::string& prefix) {
    training_.UseDense(dense);
    Steps before, during;
    for (int i = 0; i < kStepsBefore; ++i) before.push_back(training_.Step());
    double mark_ms = 0, others = 0;
    const double seconds = Write([&](const auto& start, const auto& over) {
      during.push_back(training_.Step([&] {
        const double begin = Now();
        others = OthersSeconds();
        start();
        mark_ms = 1e3 * (Now() - begin);
      }));
      while (!over()) during.push_back(training_.Step());
      others = OthersSeconds() - others;
    });
    const auto mean = [](const Steps& steps) {
      double sum = 0;
      for (const double step : steps) sum += step;
      return sum / static_cast<double>(steps.size());
    };
    const double median = Median(before);
    Note(prefix + "step before, ms", 1e3 * median);
    Note(prefix + "steps during", static_cast<double>(during.size()));
    Note(prefix + "mark, ms", mark_ms);
    Note(prefix + "cores that others took", others / seconds);
    Note(prefix + "throughput during / before", mean(before) / mean(during));
    const Steps beside = StepsBesideDd();
    Note(prefix + "beside dd / before", mean(before) / mean(beside));
    Note(prefix + "during / beside dd", mean(beside) / mean(during));
    Note(prefix + "longest beside dd / median",
         *std::max_element(beside.begin(), beside.end()) / median);
    Note(prefix + "longest before / median",
         *std::max_element(before.begin(), before.end()) / median);
    Note(prefix + "longest during / median",
         *std::max_element(during.begin(), during.end()) / median);
    Note(prefix + "write beside steps, MB/s", MegabytesASecond(seconds));
  }

  void WriteAlone() {
    double cpu = 0;
    const double seconds = Write([&](const auto& start, const auto& over) {
      cpu = ProcessSeconds();
      start();
      while (!over()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      cpu = ProcessSeconds() - cpu;
    });
    Note("write alone, CPU ns a row", NsARow(cpu));
    Note("write alone, MB/s", MegabytesASecond(seconds));
  }

  // The seconds that it takes to write as many bytes.
  double Dd() const {
    const std::string path = options_.folder + "/dd";
    const std::string command = "dd if=/dev/zero of='" + path + "' bs=4M count=" +
                                std::to_string(std::max<int64_t>(1, bytes_ >> 22)) +
                                " conv=fsync 2>/dev/null";
    const double begin = Now();
    if (std::system(command.c_str()) != 0) Fail("dd failed: " + command);
    const double seconds = Now() - begin;
    std::filesystem::remove(path);
    return seconds;
  }

  Steps StepsBesideDd() {
    std::atomic<bool> over{false};
    std::thread dd([&] {
      Dd();
      over = true;
    });
    Steps steps;
    while (!over) steps.push_back(training_.Step());
    dd.join();
    return steps;
  }

  void WithDisk() {
    const double seconds = Dd();
    const double rate = MegabytesASecond(seconds);
    Note("dd, MB/s", rate);
    for (const std::string name :
         {"write alone", "write beside steps", "bare write beside steps"}) {
      Note(name + " / dd", figures_[name + ", MB/s"].back() / rate);
    }
  }

  void Load(bool cold) {
    const std::string state = cold ? "cold " : "warm ";
    const auto drop = [&] {
      if (cold) Drop();
    };
    drop();
    const double read = Read();
    drop();
    const double to_memory = ReadToMemory();
    drop();
    const double begin = Now(), cpu = ProcessSeconds();
    auto reader = Must(CheckpointReader::Open(FileSystem::Local(), checkpoint_));
    auto loaded = MakeTable(&all_cores_);
    loaded->Reserve(reader->Rows("bench"));
    Must(reader->ForEachRows("bench", 0, kPartitions,
                             [&](std::span<const RowView> rows) { return loaded->Insert(rows); }));
    const double load = Now() - begin;
    Note(state + "load, CPU ns a row", NsARow(ProcessSeconds() - cpu));
    if (loaded->Digest() != reader->manifest().tables(0).digest()) {
      Fail("the loaded table has another digest");
    }
    Note(state + "read, MB/s", MegabytesASecond(read));
    Note(state + "read to memory, MB/s", MegabytesASecond(to_memory));
    Note(state + "load, MB/s", MegabytesASecond(load));
    Note(state + "load / read", read / load);
    Note(state + "load / read to memory", to_memory / load);
  }

  // Out of the page cache; pages that are on disk go.
  void Drop() {
    const int fd = ::open(file_.c_str(), O_RDONLY);
    if (fd < 0 || ::fsync(fd) != 0 || ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) {
      Fail("cannot drop " + file_ + " from the page cache");
    }
    ::close(fd);
  }

  double Read() {
    std::vector<char> buffer(4 << 20);
    const double begin = Now();
    const int fd = ::open(file_.c_str(), O_RDONLY);
    int64_t bytes = 0;
    for (ssize_t n = 1; n > 0; bytes += n) n = ::read(fd, buffer.data(), buffer.size());
    ::close(fd);
    if (bytes != bytes_) Fail("cannot read " + file_);
    return Now() - begin;
  }

  double ReadToMemory() {
    const double begin = Now();
    const embedding::Mapping memory(static_cast<size_t>(bytes_));
    if (memory.get() == nullptr) Fail("no memory to read " + file_ + " into");
    const int fd = ::open(file_.c_str(), O_RDONLY);
    int64_t bytes = 0;
    for (ssize_t n = 1; n > 0; bytes += n) n = ::read(fd, memory.get() + bytes, 4 << 20);
    ::close(fd);
    if (bytes != bytes_) Fail("cannot read " + file_);
    return Now() - begin;
  }

  double MegabytesASecond(double seconds) const {
    return static_cast<double>(bytes_) / 1e6 / seconds;
  }
  double NsARow(double seconds) const {
    return 1e9 * seconds / static_cast<double>(table_->rows());
  }
  void Note(const std::string& name, double value) { figures_[name].push_back(value); }

  void Print() const {
    std::printf("%-34s %9s  %9s %9s\n", "", "median", "least", "most");
    for (const auto& [name, values] : figures_) {
      std::printf("%-34s %9.3g  %9.3g %9.3g\n", name.c_str(), Median(values),
                  *std::min_element(values.begin(), values.end()),
                  *std::max_element(values.begin(), values.end()));
    }
    const auto wanted = [this](const char* name, bool at_least, double limit) {
      const double median = Median(figures_.at(name));
      std::printf("%-34s %9.3g  wanted %s %g: %s\n", name, median, at_least ? ">=" : "<=", limit,
                  (at_least ? median >= limit : median <= limit) ? "yes" : "no");
    };
    wanted("write alone / dd", true, 0.7);
    wanted("write beside steps / dd", true, 0.7);
    wanted("cold load / read", true, 0.7);
    wanted("cold load / read to memory", true, 0.7);
    wanted("throughput during / before", true, 0.8);
    wanted("during / beside dd", true, 0.8);
    wanted("longest during / median", false, 3);
    wanted("snapshot memory, MB", false, static_cast<double>(options_.snapshot_mb << 20) / 1e6);
  }

  const Options options_;
  const std::string checkpoint_;
  ThreadPool pool_{1};
  ThreadPool all_cores_{static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))};
  const std::unique_ptr<EmbeddingTable> table_;
  Training training_;
  std::string file_;
  int64_t bytes_ = 0;
  std::map<std::string, std::vector<double>> figures_;
};

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--folder" && !value.empty()) {
      options.folder = value;
    } else if (name == "--rows") {
      options.rows = std::atoll(value.c_str());
    } else if (name == "--snapshot-mb") {
      options.snapshot_mb = std::atoll(value.c_str());
    } else if (name == "--rounds") {
      options.rounds = std::atoi(value.c_str());
    } else {
      Fail("unknown argument " + name + "; see the head of tests/bench/checkpoint_bench.cc");
    }
  }
  if (options.rows < 1'000'000 || options.snapshot_mb < 1 || options.rounds < 1) {
    Fail("--rows must be at least 1000000, --snapshot-mb and --rounds at least 1");
  }
  return options;
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) {
  const trestle::Options options = trestle::Parse(argc, argv);
  if (std::filesystem::exists(options.folder)) trestle::Fail(options.folder + " is there already");
  std::filesystem::create_directories(options.folder);
  trestle::Bench(options).Run();
  std::filesystem::remove_all(options.folder);
}
