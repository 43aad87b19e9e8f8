#include "ps/gradient_exchange.h"

#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "ps/agreement.h"
#include "ps/failure.h"
#include "ps/parallel.h"

namespace trestle {
namespace {

constexpr size_t kGrain = 1024;   // keys a chunk: some 50 us
constexpr size_t kPrefetch = 16;  // rows ahead of the sum

// The sum of each key's contributions: add(position, sum) for each, then sink(key, sum).
// row(position) is the address that add will read.
template <class Row, class Add, class Sink>
void SumEachKey(ThreadPool* pool, const Contributions& keys, size_t width, Row row, Add add,
                Sink sink) {
  const std::span<const uint32_t> positions = keys.positions();
  ParallelRanges(pool, keys.size(), kGrain, [&](size_t begin, size_t end) {
    std::vector<int64_t> sum(width);
    size_t at = keys.begin(begin);
    for (size_t key = begin; key < end; ++key) {
      std::fill(sum.begin(), sum.end(), 0);
      for (; at < keys.begin(key + 1); ++at) {
        if (at + kPrefetch < positions.size()) {
          __builtin_prefetch(row(positions[at + kPrefetch]));
        }
        add(positions[at], sum.data());
      }
      sink(key, sum.data());
    }
  });
}

}  // namespace

GradientExchange::GradientExchange(Communicator& comm, const Topology& topology,
                                   std::span<const std::unique_ptr<EmbeddingTable>> tables,
                                   ThreadPool* pool)
    : comm_(comm),
      topology_(topology),
      tables_(tables),
      pool_(pool),
      fixed_(topology.unit),
      sums_(topology.tables()),
      narrow_(topology.tables()),
      rows_(topology.tables()),
      means_(topology.tables()) {}

Result<PushOutcome> GradientExchange::Push(Step* step, bool bad, const Status& local) {
  if (topology_.is_worker() && local.ok()) FinishSums(topology_, step);
  if (topology_.alone()) {
    Result<PushOutcome> outcome = PushOutcome{};
    const Status within = WithinMemory("push", [&] {
      outcome = PushAlone(step, bad, local);
      return Status();
    });
    if (!within.ok()) return within;
    return outcome;
  }
  const Operation op{Stream::kRows, "push", step->header.step};
  const size_t ranks = static_cast<size_t>(topology_.ranks);
  std::vector<Verdict> own(ranks);
  Status failure = local;
  if (topology_.is_worker() && local.ok() && !bad) {
    const Status terms = WithinMemory(Where(op), [&] {
      TRESTLE_RETURN_IF_ERROR(SumTables(*step));
      Encode(*step);
      return Status();
    });
    bad = terms.code() == StatusCode::kNumeric;
    if (!terms.ok() && (!bad || topology_.fail_bad_steps)) failure = terms;
  }
  for (size_t r = 0; r < ranks; ++r) {
    own[r].flags = (failure.ok() ? 0u : uint32_t{kFailed}) | (bad ? uint32_t{kBad} : 0u);
    const int server = topology_.server_of[r];
    if (own[r].flags != 0 || server < 0 || !topology_.is_worker()) continue;
    own[r].payload_bytes = payload_begin_[static_cast<size_t>(server) + 1] -
                           payload_begin_[static_cast<size_t>(server)];
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto verdicts, ExchangeVerdicts(comm_, op, own));
  if (AnyVerdict(verdicts, kFailed)) return AgreeOnFailure(comm_, op, failure);
  if (AnyVerdict(verdicts, kBad)) return PushOutcome{false};

  TRESTLE_RETURN_IF_ERROR(ExchangePayloads(op, verdicts, *step));
  const Status pushed = WithinMemory(Where(op), [&] { return PushTables(step).Wrap(Where(op)); });
  std::fill(own.begin(), own.end(), Verdict{});
  for (Verdict& verdict : own) verdict.flags = pushed.ok() ? 0u : uint32_t{kFailed};
  TRESTLE_ASSIGN_OR_RETURN(const auto results, ExchangeVerdicts(comm_, op, own));
  if (AnyVerdict(results, kFailed)) return AgreeOnFailure(comm_, op, pushed);
  return PushOutcome{true};
}

Result<PushOutcome> GradientExchange::PushAlone(Step* step, bool bad, const Status& local) {
  TRESTLE_RETURN_IF_ERROR(local);
  const Operation op{Stream::kRows, "push", step->header.step};
  const double rows = static_cast<double>(step->header.rows);
  Status terms;
  for (size_t t = 0; t < topology_.tables() && !bad && terms.ok(); ++t) {
    WithDim(topology_.dims[t], [&](auto dim) {
      const size_t width = static_cast<size_t>(int{dim});
      float* const means = means_[t].Reset(step->worker[t].unique() * width).data();
      terms = SumLanes(*step, t, dim, [=, this](size_t key, const int64_t* sum) {
        fixed_.ToMeans(sum, dim, rows, means + key * width);
      });
    });
  }
  if (!terms.ok() && topology_.fail_bad_steps) return terms;
  if (bad || !terms.ok()) return PushOutcome{false};
  for (size_t t = 0; t < topology_.tables(); ++t) {
    TRESTLE_RETURN_IF_ERROR(tables_[t]
                                ->Push(step->server[t].handles.span(), means_[t].span(),
                                       step->worker[t].counts.span(), step->header.step,
                                       step->header.lr_factor)
                                .Wrap(Where(op)));
  }
  return PushOutcome{true};
}

template <class Dim, class Sink>
Status GradientExchange::SumLanes(const Step& step, size_t table, Dim dim, Sink sink) {
  const size_t width = static_cast<size_t>(int{dim});
  const float* const sums = step.sums[table].data();
  std::atomic<bool> excess{false};
  SumEachKey(
      pool_, step.worker[table].lane_positions, width,
      [=](uint32_t position) { return sums + position * width; },
      [&, sums, width, dim](uint32_t position, int64_t* sum) {
        if (fixed_.Add(sums + position * width, dim, sum) != 0) {
          excess.store(true, std::memory_order_relaxed);
        }
      },
      sink);
  if (!excess.load(std::memory_order_relaxed)) return {};
  return Status(StatusCode::kNumeric,
                "a gradient of table " + topology_.table_names[table] +
                    " is not finite or beyond the fixed-point range; lower the learning rate "
                    "(and data.weight and data.positive_weight where rows are weighted), or skip "
                    "such steps with train.on_bad_step: SKIP")
      .Wrap("step " + std::to_string(step.header.step));
}

Status GradientExchange::SumTables(const Step& step) {
  Status good;
  for (size_t t = 0; t < topology_.tables() && good.ok(); ++t) {
    WithDim(topology_.dims[t], [&](auto dim) {
      const size_t width = static_cast<size_t>(int{dim});
      const Contributions& keys = step.worker[t].lane_positions;
      int64_t* const sums = sums_[t].Reset(step.worker[t].unique() * width).data();
      uint8_t* const narrow = narrow_[t].Reset(step.worker[t].unique()).data();
      good = SumLanes(step, t, dim, [=, &keys, this](size_t key, const int64_t* sum) {
        std::copy_n(sum, width, sums + key * width);
        narrow[key] = keys[key].size() == 1 || fixed_.AreFloats(sum, dim);
      });
    });
  }
  return good;
}

void GradientExchange::Encode(const Step& step) {
  const size_t servers = topology_.servers.size();
  const size_t tables = topology_.tables();
  std::vector<size_t> begin(servers * tables + 1, 0);  // server after server, table after table
  payload_begin_.assign(1, 0);
  for (size_t i = 0; i < servers * tables; ++i) {
    const size_t s = i / tables, t = i % tables;
    const std::vector<uint32_t>& shard = step.worker[t].shard_begin;
    const auto narrow = narrow_[t].span().subspan(shard[s], shard[s + 1] - shard[s]);
    const size_t floats = static_cast<size_t>(std::count(narrow.begin(), narrow.end(), 1));
    begin[i + 1] = begin[i] + EncodedBytes(narrow.size(), floats, topology_.dims[t]);
    if (t + 1 == tables) payload_begin_.push_back(begin[i + 1]);
  }
  if (tables == 0) payload_begin_.assign(servers + 1, 0);
  payload_out_.Reset(begin.back());
  pool_->ParallelFor(static_cast<int64_t>(servers * tables), [&](int64_t index, int /*thread*/) {
    const size_t i = static_cast<size_t>(index);
    const size_t s = i / tables, t = i % tables;
    const std::vector<uint32_t>& shard = step.worker[t].shard_begin;
    EncodeRows(fixed_, sums_[t].data() + shard[s] * static_cast<size_t>(topology_.dims[t]),
               narrow_[t].span().subspan(shard[s], shard[s + 1] - shard[s]), topology_.dims[t],
               payload_out_.data() + begin[i]);
  });
}

Status GradientExchange::ExchangePayloads(const Operation& op, std::span<const Verdict> verdicts,
                                          const Step& step) {
  const size_t ranks = static_cast<size_t>(topology_.ranks);
  std::vector<ConstBuffer> send(ranks);
  for (size_t s = 0; topology_.is_worker() && s < topology_.servers.size(); ++s) {
    send[static_cast<size_t>(topology_.servers[s].value)] = {
        payload_out_.data() + payload_begin_[s], payload_begin_[s + 1] - payload_begin_[s]};
  }
  size_t bytes = 0;  // from others; the payload to itself a server reads where it was encoded
  for (size_t r = 0; r < ranks; ++r) {
    if (Rank{static_cast<int>(r)} != topology_.rank) bytes += verdicts[r].payload_bytes;
  }
  std::byte* at = payload_in_.Reset(bytes).data();
  received_.clear();
  std::vector<MutableBuffer> recv(ranks);
  for (const Rank worker : topology_.workers) {
    const size_t r = static_cast<size_t>(worker.value);
    const size_t size = verdicts[r].payload_bytes;
    if (worker == topology_.rank && topology_.is_server()) {
      const size_t own = payload_begin_[static_cast<size_t>(topology_.server_index())];
      recv[r] = {payload_out_.data() + own, size};
    } else {
      recv[r] = {at, size};
      at += size;
    }
    received_.emplace_back(static_cast<const std::byte*>(recv[r].data), size);
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllToAll(op, send, recv));
  if (!topology_.is_server()) return {};
  for (size_t t = 0; t < topology_.tables(); ++t) {
    rows_[t].Reset(step.server[t].requests.size());
  }
  return {};
}

Status GradientExchange::Locate(const Step& step, size_t worker) {
  const std::span<const std::byte> payload = received_[worker];
  size_t at = 0;
  for (size_t t = 0; t < topology_.tables(); ++t) {
    const ServerTable& table = step.server[t];
    const auto rows = rows_[t].span().subspan(table.worker_begin[worker], table.count(worker));
    TRESTLE_ASSIGN_OR_RETURN(at, LocateRows(payload, at, topology_.dims[t], rows));
  }
  if (at == payload.size()) return {};
  return {StatusCode::kInternal, "gradients are longer than their keys promise"};
}

void GradientExchange::SumWorkers(const Step& step, size_t table) {
  const ServerTable& keys = step.server[table];
  const EncodedRow* const encoded = rows_[table].data();
  const double rows = static_cast<double>(step.header.rows);
  WithDim(topology_.dims[table], [&](auto dim) {
    const size_t width = static_cast<size_t>(int{dim});
    float* const means = means_[table].Reset(keys.keys.size() * width).data();
    SumEachKey(
        pool_, keys.contributions, width,
        [=](uint32_t request) { return reinterpret_cast<const void*>(encoded[request]); },
        [=, this](uint32_t request, int64_t* sum) {
          AddEncoded(fixed_, encoded[request], dim, sum);
        },
        [=, this](size_t key, const int64_t* sum) {
          fixed_.ToMeans(sum, dim, rows, means + key * width);
        });
  });
}

Status GradientExchange::PushTables(Step* step) {
  if (!topology_.is_server()) return {};
  for (size_t w = 0; w < topology_.workers.size(); ++w) {
    TRESTLE_RETURN_IF_ERROR(
        Locate(*step, w).Wrap("from rank " + std::to_string(topology_.workers[w].value)));
  }
  for (size_t t = 0; t < topology_.tables(); ++t) {
    SumWorkers(*step, t);
    const ServerTable& table = step->server[t];
    TRESTLE_RETURN_IF_ERROR(tables_[t]->Push(table.handles.span(), means_[t].span(),
                                             table.counts.span(), step->header.step,
                                             step->header.lr_factor));
  }
  return {};
}

}  // namespace trestle
