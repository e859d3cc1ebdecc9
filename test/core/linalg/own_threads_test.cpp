#include <array>

#include <doctest/doctest.h>

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
int __wrap_sgemv_thread_n(long m, long n, float alpha, const float* a, long lda, const float* x, long incx, float* y,
                          long incy, float* buffer, int threads);
int __wrap_dgemv_thread_n(long m, long n, double alpha, const double* a, long lda, const double* x, long incx,
                          double* y, long incy, double* buffer, int threads);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

TEST_CASE("a product that OpenBLAS would split over threads of its own is y + alpha A x") {
  // A = (1 3; 2 4) in columns of three, x = (1, 10) two apart, y = (5, 6) two apart
  const std::array<float, 6> a{1, 2, 99, 3, 4, 99};
  const std::array<float, 3> x{1, 99, 10};
  std::array<float, 3> y{5, 99, 6};
  __wrap_sgemv_thread_n(2, 2, 2.0F, a.data(), 3, x.data(), 2, y.data(), 2, nullptr, 2);
  CHECK(y == std::array<float, 3>{67, 99, 90});

  const std::array<double, 6> a64{1, 2, 99, 3, 4, 99};
  const std::array<double, 3> x64{1, 99, 10};
  std::array<double, 3> y64{5, 99, 6};
  __wrap_dgemv_thread_n(2, 2, 2.0, a64.data(), 3, x64.data(), 2, y64.data(), 2, nullptr, 2);
  CHECK(y64 == std::array<double, 3>{67, 99, 90});
}
