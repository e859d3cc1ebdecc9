#include "core/threads/cancel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <vector>

#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/threads/thread_pool.h"

using namespace cgfac;

namespace {

std::vector<double> symmetric(std::size_t n) {
  std::vector<double> k(n * n);
  unsigned state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      state = (state * 1664525U) + 1013904223U;
      k[(i * n) + j] = k[(j * n) + i] = static_cast<double>(state >> 8U) / 0x1p24 - 0.5;
    }
  }
  return k;
}

}  // namespace

TEST_CASE("cancel: a scope ends with its life, and null shields what is within") {
  const CancelFlag flag = true;
  CHECK_FALSE(cancelled());
  {
    const CancelScope scope(&flag);
    CHECK(cancelled());
    CHECK_THROWS_AS(throw_if_cancelled(), Cancelled);
    {
      const CancelScope whole(nullptr);
      CHECK_FALSE(cancelled());
    }
    CHECK(cancelled());
  }
  CHECK_FALSE(cancelled());
}

TEST_CASE("cancel: a thread that asks for itself is cancelled, and stays so") {
  using Clock = std::chrono::steady_clock;
  CancelFlag flag = false;
  std::atomic<int> asked = 0;
  const CancelScope scope(flag, [&asked] { return ++asked == 2; });
  const auto start = Clock::now();
  while (!cancelled() && Clock::now() - start < std::chrono::seconds(10)) std::this_thread::yield();
  CHECK(cancelled());
  CHECK(flag);
  CHECK(asked == 2);
}

TEST_CASE("cancel: parallel_for hands the flag on, and gives no index away once it is set") {
  ThreadPool pool(3);
  CancelFlag flag = false;
  std::atomic<int> runs = 0;
  const CancelScope scope(&flag);
  CHECK_THROWS_AS(pool.parallel_for(1000,
                                    [&](std::size_t) {
                                      CHECK(current_cancel_flag() == &flag);
                                      ++runs;
                                      flag = true;
                                    }),
                  Cancelled);
  CHECK(runs >= 1);
  CHECK(runs <= 3);
}

TEST_CASE("cancel: products throw before they write, and without a flag they do not") {
  const std::vector<float> a(6, 1.0F);
  std::vector<float> c(4);
  const MatrixView<const float> view(a.data(), 2, 3);
  const CancelFlag flag = true;
  {
    const CancelScope scope(&flag);
    CHECK_THROWS_AS(blas::gemm(1.0F, view, view.transposed(), 0.0F, MatrixView<float>(c.data(), 2, 2)), Cancelled);
    CHECK_THROWS_AS(blas::gram(1.0F, view, MatrixView<float>(c.data(), 2, 2)), Cancelled);
  }
  CHECK(c == std::vector<float>(4));
  blas::gram(1.0F, view, MatrixView<float>(c.data(), 2, 2));
  CHECK(c == std::vector<float>(4, 3.0F));
}

// Scratch of NaN: what a decomposition that was cut short left unwritten must lead it nowhere.
TEST_CASE("cancel: a decomposition ends at whatever moment its flag is set, and the next one is right") {
  constexpr std::size_t n = 600;
  const std::vector<double> k = symmetric(n);
  std::vector<double> values(n);
  const auto decompose = [&](const CancelFlag* flag) {
    std::vector<double> q = k;
    std::vector<double> work(blas::eigen_work(n), std::numeric_limits<double>::quiet_NaN());
    const CancelScope scope(flag);
    blas::eigen(MatrixView<double>(q.data(), n, n), values, work);
  };
  using Clock = std::chrono::steady_clock;
  const Clock::time_point before = Clock::now();
  decompose(nullptr);
  const Clock::duration whole = Clock::now() - before;
  // from none of that time to a third more than it; a thread that wakes up too late cuts nothing short
  constexpr int moments = 24;
  int cut = 0;
  for (int moment = 0; moment < moments; ++moment) {
    CancelFlag flag = false;
    std::thread other([&flag, delay = whole * moment / (moments * 3 / 4)] {
      std::this_thread::sleep_for(delay);
      flag = true;
    });
    try {
      decompose(&flag);
    } catch (const Cancelled&) {
      ++cut;
    }
    other.join();
  }
  decompose(nullptr);
  CHECK(cut > 5);
  double trace = 0;
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += k[(i * n) + i];
    sum += values[i];
  }
  CHECK(sum == doctest::Approx(trace));
}
