#include "ps/row_exchange.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "ps/agreement.h"
#include "ps/failure.h"
#include "ps/parallel.h"

namespace trestle {
namespace {

EmbeddingTable::Missing MissingFor(const Step& step) {
  return step.training() ? EmbeddingTable::Missing::kCreate : EmbeddingTable::Missing::kRead;
}

void AddUnseen(const KeyCounts& counts, Step* step) {
  ++step->unseen_keys;
  step->unseen_occurrences += counts.occurrences;
}

}  // namespace

Status RowExchange::Pull(Step* step) {
  const Operation op{Stream::kRows, "pull", step->header.step};
  step->pulled = true;
  if (topology_.alone()) {
    return WithinMemory(Where(op), [&] { return PullAlone(step).Wrap(Where(op)); });
  }

  Verdict verdict;
  Status local;
  if (topology_.is_server()) {
    local = WithinMemory(Where(op), [&] { return PullTables(step).Wrap(Where(op)); });
    if (!local.ok()) verdict.flags |= kFailed;
    LayOutReplies(step);
    for (size_t w = 0; w < topology_.workers.size(); ++w) {
      std::memcpy(reply_at_[w], &verdict, sizeof(verdict));
    }
    if (local.ok()) WriteReplies(*step);
  }

  const size_t ranks = static_cast<size_t>(topology_.ranks);
  std::vector<Verdict> verdicts(ranks);
  std::vector<ConstBuffer> send(ranks, ConstBuffer{&verdict, sizeof(verdict)});
  std::vector<MutableBuffer> recv(ranks);
  for (size_t r = 0; r < ranks; ++r) recv[r] = {&verdicts[r], sizeof(Verdict)};
  for (size_t w = 0; topology_.is_server() && w < topology_.workers.size(); ++w) {
    send[static_cast<size_t>(topology_.workers[w].value)] = {reply_at_[w],
                                                             reply_layouts_[w].bytes()};
  }
  for (size_t s = 0; topology_.is_worker() && s < topology_.servers.size(); ++s) {
    recv[static_cast<size_t>(topology_.servers[s].value)] = {
        step->rows.data() + step->section_begin[s], step->layouts[s].bytes()};
  }
  TRESTLE_RETURN_IF_ERROR(comm_.AllToAll(op, send, recv));
  for (size_t s = 0; topology_.is_worker() && s < topology_.servers.size(); ++s) {
    std::memcpy(&verdicts[static_cast<size_t>(topology_.servers[s].value)],
                step->rows.data() + step->section_begin[s], sizeof(Verdict));
  }
  TRESTLE_RETURN_IF_ERROR(CheckVerdicts(verdicts).Wrap(Where(op)));
  if (AnyVerdict(verdicts, kFailed)) return AgreeOnFailure(comm_, op, local);
  if (topology_.is_worker() && !step->training()) CountUnseen(step);
  return {};
}

Status RowExchange::PullAlone(Step* step) {
  for (size_t t = 0; t < tables_.size(); ++t) {
    const WorkerTable& keys = step->worker[t];
    const std::span<RowHandle> handles = step->server[t].handles.Reset(keys.unique());
    const std::span<float> rows{step->row(0, t),
                                keys.unique() * static_cast<size_t>(topology_.dims[t])};
    auto missing = tables_[t]->Pull(keys.keys.span(), MissingFor(*step), rows, handles);
    if (!missing.ok()) return missing.status();
    if (step->training() || *missing == 0) continue;
    for (size_t k = 0; k < handles.size(); ++k) {
      if (handles[k].absent()) AddUnseen(keys.counts[k], step);
    }
  }
  return {};
}

Status RowExchange::PullTables(Step* step) {
  for (size_t t = 0; t < tables_.size(); ++t) {
    ServerTable& table = step->server[t];
    const size_t unique = table.keys.size();
    const std::span<RowHandle> handles = table.handles.Reset(unique);
    const std::span<float> rows = table.rows.Reset(unique * static_cast<size_t>(topology_.dims[t]));
    auto missing = tables_[t]->Pull(table.keys.span(), MissingFor(*step), rows, handles);
    if (!missing.ok()) return missing.status();
  }
  return {};
}

void RowExchange::LayOutReplies(Step* step) {
  const size_t workers = topology_.workers.size();
  std::vector<uint32_t> counts(topology_.tables());
  reply_layouts_.resize(workers);
  size_t bytes = 0;  // of the replies to others
  for (size_t w = 0; w < workers; ++w) {
    for (size_t t = 0; t < counts.size(); ++t) counts[t] = step->server[t].count(w);
    reply_layouts_[w].Reset(topology_.dims, counts, !step->training());
    if (!IsOwn(w)) bytes += PadTo(reply_layouts_[w].bytes(), 64);
  }
  std::byte* at = replies_.Reset(bytes).data();
  reply_at_.resize(workers);
  for (size_t w = 0; w < workers; ++w) {
    if (IsOwn(w)) {
      reply_at_[w] =
          step->rows.data() + step->section_begin[static_cast<size_t>(topology_.server_index())];
    } else {
      reply_at_[w] = at;
      at += PadTo(reply_layouts_[w].bytes(), 64);
    }
  }
}

void RowExchange::WriteReplies(const Step& step) {
  const size_t tables = topology_.tables();
  const int64_t replies = static_cast<int64_t>(topology_.workers.size() * tables);
  pool_->ParallelFor(replies, [&](int64_t index, int /*thread*/) {
    const size_t w = static_cast<size_t>(index) / tables, t = static_cast<size_t>(index) % tables;
    WriteReply(step, w, t);
    if (!step.training()) WriteAbsent(step, w, t);
  });
}

void RowExchange::WriteReply(const Step& step, size_t worker, size_t table) {
  const ServerTable& keys = step.server[table];
  const uint32_t* const key_of = keys.key_of.data() + keys.worker_begin[worker];
  const float* const rows = keys.rows.data();
  auto* const out =
      reinterpret_cast<float*>(reply_at_[worker] + reply_layouts_[worker].rows(table));
  WithDim(topology_.dims[table], [&](auto dim) {
    const size_t width = static_cast<size_t>(int{dim});
    for (size_t i = 0; i < keys.count(worker); ++i) {
      std::memcpy(out + i * width, rows + key_of[i] * width, width * sizeof(float));
    }
  });
}

void RowExchange::WriteAbsent(const Step& step, size_t worker, size_t table) {
  const ServerTable& keys = step.server[table];
  const uint32_t* const key_of = keys.key_of.data() + keys.worker_begin[worker];
  const size_t count = keys.count(worker);
  auto* const bits =
      reinterpret_cast<uint8_t*>(reply_at_[worker] + reply_layouts_[worker].absent(table));
  std::fill_n(bits, BitmapBytes(count), uint8_t{0});
  for (size_t i = 0; i < count; ++i) {
    if (keys.handles[key_of[i]].absent()) bits[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
  }
}

void RowExchange::CountUnseen(Step* step) const {
  for (size_t s = 0; s < topology_.servers.size(); ++s) {
    for (size_t t = 0; t < topology_.tables(); ++t) {
      const WorkerTable& table = step->worker[t];
      const size_t first = table.shard_begin[s];
      const auto* const bits = reinterpret_cast<const uint8_t*>(
          step->rows.data() + step->section_begin[s] + step->layouts[s].absent(t));
      for (size_t i = 0; i < table.shard_begin[s + 1] - first; ++i) {
        if ((bits[i / 8] >> (i % 8)) & 1) AddUnseen(table.counts[first + i], step);
      }
    }
  }
}

}  // namespace trestle
