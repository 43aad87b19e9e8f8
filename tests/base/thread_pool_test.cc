#include "base/thread_pool.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

namespace trestle {
namespace {

TEST(ThreadPool, RunsEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      pool.ParallelFor(count, [&](int64_t i, int thread) {
        ++runs[static_cast<size_t>(i)];
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
      });
      for (const auto& n : runs) ASSERT_EQ(n, 1) << threads << " threads, " << count << " indices";
    }
  }
}

TEST(ThreadPool, RunsBodiesAtTheSameTime) {
  // Each body waits for the other three: only four threads at once get through.
  ThreadPool pool(4);
  std::barrier all(4);
  std::vector<int> thread_of(4, -1);
  pool.ParallelFor(4, [&](int64_t i, int thread) {
    all.arrive_and_wait();
    thread_of[static_cast<size_t>(i)] = thread;
  });
  EXPECT_EQ(std::set<int>(thread_of.begin(), thread_of.end()), (std::set<int>{0, 1, 2, 3}));
}

TEST(ThreadPool, ReturnsAfterAllBodiesAndShowsWhatTheyWrote) {
  ThreadPool pool(3);
  std::vector<int64_t> values(64, 0);
  for (int64_t round = 1; round <= 200; ++round) {
    pool.ParallelFor(64, [&](int64_t i, int) { values[static_cast<size_t>(i)] += i; });
    for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], i * round);
  }
}

TEST(ThreadPool, OfOneThreadRunsOnTheCallerInOrder) {
  ThreadPool pool(1);
  std::vector<int64_t> order;
  pool.ParallelFor(5, [&, caller = std::this_thread::get_id()](int64_t i, int thread) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(thread, 0);
    order.push_back(i);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadPool, MayBeUsedByOneThreadAfterAnother) {
  ThreadPool pool(2);
  std::atomic<int> total = 0;
  for (int user = 0; user < 3; ++user) {
    std::thread([&] { pool.ParallelFor(10, [&](int64_t, int) { ++total; }); }).join();
  }
  EXPECT_EQ(total, 30);
}

// The OpenMP count is per thread: one set in main is not seen by the pool's threads.
TEST(ThreadPool, EachThreadHasAnOpenMpCountOfOne) {
  using Get = int (*)();
  using Set = void (*)(int);
  const auto get = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  ASSERT_NE(get, nullptr) << "no OpenMP runtime in this program";
  ASSERT_NE(set, nullptr);
  set(5);
  ThreadPool pool(3);
  std::barrier all(3);
  std::vector<int> counts(3, -1);
  pool.ParallelFor(3, [&](int64_t i, int) {
    all.arrive_and_wait();
    counts[static_cast<size_t>(i)] = get();
  });
  EXPECT_EQ(counts, (std::vector<int>{1, 1, 1}));
  std::thread([&] {
    set(5);
    UseOneOpenMpThread();
    EXPECT_EQ(get(), 1);
  }).join();
}

}  // namespace
}  // namespace trestle
