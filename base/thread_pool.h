// A small pool that runs loops over lanes, segments and key ranges. Each of its threads, and the
// caller's own, has its OpenMP count set to one: single-threaded kernels give the same bits
// anywhere.
//
// Thread safety: ParallelFor may be called by one thread at a time; it blocks until all is done.
// A pool of one thread runs everything on the caller. Exceptions must not leave `body`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace trestle {

// Sets the calling thread's OpenMP count to one. Every thread that runs kernels calls it.
void UseOneOpenMpThread();

// For a thread that prepares what is needed later: where it shares a core with threads that
// compute, it gets the time that they leave (nice 5, not less: other ranks wait for its part of an
// exchange).
void GiveWayToComputation();

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls body(index, thread) for each index in [0, count), indices handed out in order to threads
  // as they come; thread is in [0, size()). What a body computes must not depend on `thread`.
  void ParallelFor(int64_t count, const std::function<void(int64_t index, int thread)>& body);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trestle
