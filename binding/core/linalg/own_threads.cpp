// What OpenBLAS calls where it splits a product of a matrix and a vector over threads of its own, of which it has one
// here. Its own functions have 12 KiB of thread-local memory (y_dummy) for that, which is more than glibc can give to
// each thread from its start for a library that is loaded later: cgfac.node would take it at the first use, and a
// refusal then ends the process.
#include <cstddef>

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
int __wrap_sgemv_thread_n(std::ptrdiff_t m, std::ptrdiff_t n, float alpha, const float* a, std::ptrdiff_t lda,
                          const float* x, std::ptrdiff_t incx, float* y, std::ptrdiff_t incy, float* buffer,
                          int threads);
int __wrap_dgemv_thread_n(std::ptrdiff_t m, std::ptrdiff_t n, double alpha, const double* a, std::ptrdiff_t lda,
                          const double* x, std::ptrdiff_t incx, double* y, std::ptrdiff_t incy, double* buffer,
                          int threads);
}

namespace {

// y ← y + α A x, A of m × n, column after column.
template <typename Real>
void add_product(std::ptrdiff_t m, std::ptrdiff_t n, Real alpha, const Real* a, std::ptrdiff_t lda, const Real* x,
                 std::ptrdiff_t incx, Real* y, std::ptrdiff_t incy) {
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    const Real factor = alpha * x[j * incx];
    for (std::ptrdiff_t i = 0; i < m; ++i) y[i * incy] += factor * a[i + (j * lda)];
  }
}

}  // namespace

int __wrap_sgemv_thread_n(std::ptrdiff_t m, std::ptrdiff_t n, float alpha, const float* a, std::ptrdiff_t lda,
                          const float* x, std::ptrdiff_t incx, float* y, std::ptrdiff_t incy, float* /*buffer*/,
                          int /*threads*/) {
  add_product(m, n, alpha, a, lda, x, incx, y, incy);
  return 0;
}

int __wrap_dgemv_thread_n(std::ptrdiff_t m, std::ptrdiff_t n, double alpha, const double* a, std::ptrdiff_t lda,
                          const double* x, std::ptrdiff_t incx, double* y, std::ptrdiff_t incy, double* /*buffer*/,
                          int /*threads*/) {
  add_product(m, n, alpha, a, lda, x, incx, y, incy);
  return 0;
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
