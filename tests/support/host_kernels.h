// HostKernels: the steps of cuda/table_steps.h on the host, a tile being one thread. Elements go to
// several threads, so that claims and sums do meet; memory is FakeGpu's.
//
// Thread safety: one caller. Errors: none.
#pragma once

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "cuda/table_kernels.h"

namespace trestle::cuda {

class OneThread {
 public:
  static int size() { return 1; }
  static int rank() { return 0; }

  template <class Test>
  uint32_t Where(const Test& test) const {
    uint32_t bits = 0;
    for (int slot = 0; slot < kWindow; ++slot) bits |= test(slot) ? 1u << slot : 0u;
    return bits;
  }
  uint64_t Load(const uint64_t* slot) const {
    return std::atomic_ref(*const_cast<uint64_t*>(slot)).load(std::memory_order_relaxed);
  }
  bool Claim(uint64_t* slot, uint64_t from, uint64_t to) const {
    return std::atomic_ref(*slot).compare_exchange_strong(from, to, std::memory_order_relaxed);
  }
  void Add(uint64_t* sum, uint64_t value) const {
    std::atomic_ref(*sum).fetch_add(value, std::memory_order_relaxed);
  }
  void Or(uint64_t* word, uint64_t bits) const {
    std::atomic_ref(*word).fetch_or(bits, std::memory_order_relaxed);
  }
  template <class Body>
  void Lead(const Body& body) const {
    body();
  }
};

class HostKernels : public TableKernels {
 public:
  explicit HostKernels(int threads = 3) : threads_(threads) {}

  Status Run(const TableStep& step, int64_t n, GpuStream) override {
    std::visit([&](const auto& one) { Spread(one, n); }, step);
    return {};
  }

  Result<int64_t> ScanBytes(int64_t) override { return 1; }
  Status Scan(const uint32_t* in, uint32_t* out, int64_t n, void*, int64_t, GpuStream) override {
    std::exclusive_scan(in, in + n, out, 0u);
    return {};
  }

  Result<int64_t> SortBytes(int64_t) override { return 1; }
  Status Sort(const uint64_t* keys, uint64_t* sorted_keys, const uint32_t* values,
              uint32_t* sorted_values, int64_t n, void*, int64_t, GpuStream) override {
    std::vector<int64_t> order(static_cast<size_t>(n));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
    for (int64_t i = 0; i < n; ++i) {
      sorted_keys[i] = keys[order[static_cast<size_t>(i)]];
      sorted_values[i] = values[order[static_cast<size_t>(i)]];
    }
    return {};
  }

 private:
  static constexpr int64_t kFew = 64;  // not worth a thread

  // Thread t takes elements t, t + threads, ...: neighbours in the call meet in the index.
  template <class Step>
  void Spread(const Step& step, int64_t n) {
    const int threads = n < kFew ? 1 : threads_;
    std::vector<std::thread> running;
    for (int t = 1; t < threads; ++t) {
      running.emplace_back([&, t] {
        for (int64_t i = t; i < n; i += threads) step(OneThread(), i);
      });
    }
    for (int64_t i = 0; i < n; i += threads) step(OneThread(), i);
    for (std::thread& thread : running) thread.join();
  }

  const int threads_;
};

}  // namespace trestle::cuda
