// What OpenBLAS calls where it splits a product of a matrix and a vector over threads of its own, of which it has one
// here. Its own functions have 12 KiB of thread-local memory (y_dummy) for that, which is more than glibc can give to
// each thread from its start for a library that is loaded later: cgfac.node would take it at the first use, and a
// refusal then ends the process.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
int __wrap_sgemv_thread_n(long m, long n, float alpha, const float* a, long lda, const float* x, long incx, float* y,
                          long incy, float* buffer, int threads);
int __wrap_dgemv_thread_n(long m, long n, double alpha, const double* a, long lda, const double* x, long incx,
                          double* y, long incy, double* buffer, int threads);
}

namespace {

// y ← y + α A x, A of m × n, column after column.
template <typename Real>
void add_product(long m, long n, Real alpha, const Real* a, long lda, const Real* x, long incx, Real* y, long incy) {
  for (long j = 0; j < n; ++j) {
    const Real factor = alpha * x[j * incx];
    for (long i = 0; i < m; ++i) y[i * incy] += factor * a[i + (j * lda)];
  }
}

}  // namespace

int __wrap_sgemv_thread_n(long m, long n, float alpha, const float* a, long lda, const float* x, long incx, float* y,
                          long incy, float* /*buffer*/, int /*threads*/) {
  add_product(m, n, alpha, a, lda, x, incx, y, incy);
  return 0;
}

int __wrap_dgemv_thread_n(long m, long n, double alpha, const double* a, long lda, const double* x, long incx,
                          double* y, long incy, double* /*buffer*/, int /*threads*/) {
  add_product(m, n, alpha, a, lda, x, incx, y, incy);
  return 0;
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
