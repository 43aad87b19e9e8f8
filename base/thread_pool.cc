#include "base/thread_pool.h"

#include <dlfcn.h>
#include <glog/logging.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace trestle {

// oneDNN brings an OpenMP runtime with it; base links to none, so the function is looked up.
void UseOneOpenMpThread() {
  using SetThreads = void (*)(int);
  static const auto set_threads =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (set_threads) set_threads(1);
}

void GiveWayToComputation() {
  constexpr int kNice = 5;
  // Allowed to everybody; if it fails all the same, the thread only competes as any other.
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

class ThreadPool::Impl {
 public:
  explicit Impl(int threads) {
    CHECK_GE(threads, 1);
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { WorkerLoop(t); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    start_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void ParallelFor(int64_t count, const std::function<void(int64_t, int)>& body) {
    UseOneOpenMpThread();
    if (workers_.empty() || count <= 1) {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      CHECK(body_ == nullptr) << "ParallelFor called by two threads at once";
      body_ = &body;
      count_ = count;
      next_ = 0;
      running_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    start_.notify_all();
    Drain(0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    body_ = nullptr;
  }

 private:
  void Drain(int thread) {
    for (int64_t i = next_++; i < count_; i = next_++) (*body_)(i, thread);
  }

  void WorkerLoop(int thread) {
    UseOneOpenMpThread();
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      start_.wait(lock, [&] { return stopping_ || generation_ != seen; });
      if (stopping_) return;
      seen = generation_;
      lock.unlock();
      Drain(thread);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void(int64_t, int)>* body_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  int running_ = 0;
  uint64_t generation_ = 0;
  bool stopping_ = false;
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>(threads)) {}
ThreadPool::~ThreadPool() = default;
int ThreadPool::size() const { return impl_->size(); }
void ThreadPool::ParallelFor(int64_t count, const std::function<void(int64_t, int)>& body) {
  impl_->ParallelFor(count, body);
}

}  // namespace trestle
