#include "backend/gemm.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/thread_pool.h"

namespace trestle {
namespace {

std::vector<float> Random(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

struct Shape {
  int64_t m, n, k;
};

// Those of DIN's step, and odd ones on both sides of every rule that picks a library.
const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes{
      {30, 80, 32},    {1, 80, 32},    {1900, 40, 80}, {80, 40, 1900}, {256, 200, 272},
      {272, 200, 256}, {256, 80, 200}, {256, 1, 80},   {80, 1, 256},   {1900, 1, 40},
      {1900, 40, 1},   {1, 1, 1},      {5, 3, 2},      {0, 4, 4},      {4, 0, 4},
      {4, 4, 0},       {33, 17, 65},   {300, 7, 3}};
  return shapes;
}

void RunAll(const Shape& s, bool ta, bool tb, float beta, std::vector<float>* c) {
  const std::vector<float> a = Random(s.m * s.k, 1), b = Random(s.k * s.n, 2);
  Gemm<float>(ta, tb, s.m, s.n, s.k, a.data(), b.data(), c->data(), beta);
}

TEST(Gemm, FloatFollowsDouble) {
  for (const Shape& s : Shapes()) {
    const std::vector<float> a = Random(s.m * s.k, 1), b = Random(s.k * s.n, 2);
    const std::vector<double> a2(a.begin(), a.end()), b2(b.begin(), b.end());
    for (int flags = 0; flags < 8; ++flags) {
      const bool ta = flags & 1, tb = flags & 2;
      const float beta = flags & 4 ? 1.0f : 0.0f;
      // With beta 0 what c held must not matter, not even NaN.
      std::vector<float> c = beta == 0 ? std::vector<float>(s.m * s.n, NAN) : Random(s.m * s.n, 3);
      std::vector<double> expected(c.begin(), c.end());
      Gemm<float>(ta, tb, s.m, s.n, s.k, a.data(), b.data(), c.data(), beta);
      Gemm<double>(ta, tb, s.m, s.n, s.k, a2.data(), b2.data(), expected.data(), beta);
      for (size_t i = 0; i < c.size(); ++i) {
        ASSERT_NEAR(c[i], expected[i], 2e-6 * static_cast<double>(s.k + 8))
            << s.m << " x " << s.k << " x " << s.n << " flags " << flags << " element " << i;
      }
    }
  }
}

// The promise under everything: the same bits on any thread and with any OpenMP setting around it.
TEST(Gemm, BitsDoNotDependOnThreadOrOpenMpSetting) {
  using SetThreads = void (*)(int);
  const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  ASSERT_NE(set_threads, nullptr);
  for (const Shape& s : Shapes()) {
    for (int flags = 0; flags < 4; ++flags) {
      std::vector<float> here(s.m * s.n), there(s.m * s.n);
      UseOneOpenMpThread();
      RunAll(s, flags & 1, flags & 2, 0.0f, &here);
      std::thread([&] {
        set_threads(4);  // someone else's setting on this thread, which every entry point replaces
        UseOneOpenMpThread();
        RunAll(s, flags & 1, flags & 2, 0.0f, &there);
      }).join();
      ASSERT_EQ(here, there) << s.m << " x " << s.k << " x " << s.n << " flags " << flags;
    }
  }
}

}  // namespace
}  // namespace trestle
