// What the sparse side of a step costs on one rank and thread: a Taobao-like step of 4,096 rows
// with 15 ids and 2 sequences of 30, rows of 16, keys of Zipf's law, in 16 lanes. Prints the best
// of some rounds in milliseconds a phase. Prepare runs beside the compute of the step before where
// a core is free.
//
//   exchange_bench [rows] [lanes] [dim] [rounds] [ranks]
//
// With more ranks (threads of this process), the time is that of rank 0 and holds waiting for
// others.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "comm/thread_communicator.h"
#include "ps/dedup.h"
#include "ps/node.h"

namespace trestle {
namespace {

// Of the calling thread's own CPU time, so that other programs on the machine do not count.
struct Clock {
  using time_point = double;
  static time_point Now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
  }
};

double Milliseconds(Clock::time_point begin) { return Clock::Now() - begin; }

// Keys of rank r with probability ~ 1 / (r + 1), by inversion of the continuous law.
class Zipf {
 public:
  explicit Zipf(double keys) : log_keys_(std::log(keys)) {}
  Key operator()(std::mt19937_64& random) const {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    return Key{static_cast<uint64_t>(std::exp(u * log_keys_)) * 0x9E3779B97F4A7C15ull};
  }

 private:
  double log_keys_;
};

struct Shape {
  int rows = 4096;
  int lanes = 16;
  int dim = 16;
  int rounds = 20;
  int ranks = 1;
};

// Cardinalities of the 15 ids in the manner of the Taobao logs; the two sequences share tables 0
// and 1.
const std::vector<double> kKeys = {13e3, 460e3, 850e3, 420e3, 250e3, 1.1e6, 97, 2,
                                   13,   2,     7,     4,     3,     2,     5};
constexpr int kSequence = 30;

std::vector<LaneKeys> MakeStep(const Shape& shape, int lanes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<LaneKeys> all(static_cast<size_t>(lanes));
  for (LaneKeys& lane : all) {
    for (size_t slot = 0; slot < kKeys.size() + 2; ++slot) {
      const Zipf zipf(kKeys[slot < kKeys.size() ? slot : slot - kKeys.size()]);
      JaggedKeys keys;
      for (int row = 0; row < shape.rows / shape.lanes; ++row) {
        const int length = slot < kKeys.size() ? 1 : kSequence;
        for (int i = 0; i < length; ++i) keys.keys.push_back(zipf(random));
        keys.offsets.push_back(static_cast<int32_t>(keys.keys.size()));
      }
      lane.push_back(std::move(keys));
    }
  }
  return all;
}

struct Times {
  double prepare = 1e9, pull = 1e9, gather = 1e9, accumulate = 1e9, push = 1e9, total = 1e9;
};

NodeOptions MakeOptions(const Shape& shape) {
  NodeOptions options;
  options.roles = *AssignRoles(0, std::vector<std::string>(static_cast<size_t>(shape.ranks), "h"));
  for (size_t t = 0; t < kKeys.size(); ++t) {
    Table table;
    table.set_name(std::to_string(t));
    table.set_dim(shape.dim);
    table.mutable_optimizer()->mutable_adagrad();
    options.tables.push_back(*MakeTableSpec(table, 1));
    options.slot_tables.push_back(static_cast<int>(t));
  }
  options.slot_tables.push_back(0);
  options.slot_tables.push_back(1);
  return options;
}

Status RunStep(Client& client, std::vector<LaneKeys> lanes, int64_t step, const Shape& shape,
               std::vector<float>* buffer, Times* best, int64_t* unique, int64_t* occurrences) {
  const auto begin = Clock::Now();
  auto at = begin;
  const int count = static_cast<int>(lanes.size());
  const int slots = static_cast<int>(kKeys.size()) + 2;
  const int64_t rows = int64_t{shape.rows} / shape.ranks;
  const auto lap = [&](double* slot) {
    *slot = std::min(*slot, Milliseconds(at));
    at = Clock::Now();
  };
  TRESTLE_ASSIGN_OR_RETURN(
      auto lookup, client.Prepare({Action::kTrain, step, rows, 0, false}, std::move(lanes), Ok()));
  lap(&best->prepare);
  TRESTLE_RETURN_IF_ERROR(client.Pull(*lookup));
  lap(&best->pull);
  double gather = 0, accumulate = 0;
  for (int lane = 0; lane < count; ++lane) {
    auto lane_at = Clock::Now();
    float* out = buffer->data();
    for (int slot = 0; slot < slots; ++slot) {
      lookup->Gather(lane, slot, out);
      out += lookup->offsets(lane, slot).back() * shape.dim;
    }
    gather += Milliseconds(lane_at);
    lane_at = Clock::Now();
    out = buffer->data();
    for (int slot = 0; slot < slots; ++slot) {
      lookup->Accumulate(lane, slot, out);
      out += lookup->offsets(lane, slot).back() * shape.dim;
    }
    accumulate += Milliseconds(lane_at);
  }
  best->gather = std::min(best->gather, gather);
  best->accumulate = std::min(best->accumulate, accumulate);
  at = Clock::Now();
  auto pushed = client.Push(*lookup, false, Ok());
  TRESTLE_RETURN_IF_ERROR(pushed.status());
  lap(&best->push);
  best->total = std::min(best->total, Milliseconds(begin));
  *unique = lookup->unique_keys();
  *occurrences = lookup->occurrences();
  return {};
}

void BenchSteps(const Shape& shape) {
  const Status status = RunThreadRanks(shape.ranks, [&](Communicator& comm) -> Status {
    ThreadPool pool(1);
    TRESTLE_ASSIGN_OR_RETURN(auto node, MakeNode(comm, MakeOptions(shape), &pool));
    std::vector<float> buffer(static_cast<size_t>(shape.rows / shape.lanes) * 80 *
                              static_cast<size_t>(shape.dim));
    Times best;
    int64_t unique = 0, occurrences = 0;
    for (int round = 1; round <= shape.rounds; ++round) {
      auto lanes = MakeStep(shape, shape.lanes / shape.ranks,
                            static_cast<uint64_t>(round * 1000 + comm.rank().value));
      TRESTLE_RETURN_IF_ERROR(RunStep(node->client(), std::move(lanes), round, shape, &buffer,
                                      &best, &unique, &occurrences));
    }
    if (comm.rank().value != 0) return {};
    std::printf("%d rank(s), %d rows, %d lanes, dim %d: %lld occurrences, %lld unique a rank\n",
                shape.ranks, shape.rows, shape.lanes, shape.dim,
                static_cast<long long>(occurrences), static_cast<long long>(unique));
    std::printf("  prepare     %7.2f ms (%.1f ns an occurrence)\n", best.prepare,
                best.prepare * 1e6 / static_cast<double>(occurrences));
    std::printf("  pull        %7.2f ms\n  gather      %7.2f ms\n  accumulate  %7.2f ms\n",
                best.pull, best.gather, best.accumulate);
    std::printf("  push        %7.2f ms\n  whole step  %7.2f ms\n", best.push, best.total);
    return {};
  });
  if (!status.ok()) std::printf("%s\n", status.ToString().c_str());
}

void BenchDedup() {
  std::printf("dedup, ns a key\n");
  for (const size_t count : {size_t{256}, size_t{8192}, size_t{131072}, size_t{1} << 20}) {
    std::mt19937_64 random(1);
    const Zipf zipf(460e3);
    std::vector<Key> keys(count), unique(count);
    std::vector<uint32_t> inverse(count);
    for (Key& key : keys) key = zipf(random);
    Deduplicator dedup;
    double best = 1e9;
    uint32_t distinct = 0;
    for (int round = 0; round < 20; ++round) {
      const auto begin = Clock::Now();
      dedup.Begin(count);
      distinct = dedup.Add(keys, 0, inverse.data(), unique.data());
      best = std::min(best, Milliseconds(begin));
    }
    std::printf("  %8zu keys, %7u distinct  %6.2f\n", count, distinct,
                best * 1e6 / static_cast<double>(count));
  }
}

}  // namespace
}  // namespace trestle

int main(int argc, char** argv) {
  trestle::Shape shape;
  int* const fields[] = {&shape.rows, &shape.lanes, &shape.dim, &shape.rounds, &shape.ranks};
  for (int i = 1; i < argc && i <= 5; ++i) *fields[i - 1] = std::atoi(argv[i]);
  trestle::BenchDedup();
  trestle::BenchSteps(shape);
}
