#include "core/linalg/simd.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/linalg/clones.h"

namespace cgfac::simd {

CGFAC_CLONES
DirectSums direct(std::size_t count, double step, double beta, double s, const double* r_c, const double* r_w,
                  const float* u, double* c, double* w, double* x) {
  if (step != 0) {
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) x[i] += step * c[i];
  }
  double u_c = 0;
  double y_c = 0;
  double y_y = 0;
  if (w == c) {
#pragma omp simd reduction(+ : u_c, y_c, y_y)
    for (std::size_t i = 0; i < count; ++i) {
      const double next = r_c[i] + (beta == 0 ? 0 : beta * c[i]);
      const auto from_u = static_cast<double>(u[i]);
      const double y = (s * from_u) + next;
      c[i] = next;
      u_c += from_u * next;
      y_c += y * next;
      y_y += y * y;
    }
  } else {
#pragma omp simd reduction(+ : u_c, y_c, y_y)
    for (std::size_t i = 0; i < count; ++i) {
      const double next = r_c[i] + (beta == 0 ? 0 : beta * c[i]);
      const double weight = r_w[i] + (beta == 0 ? 0 : beta * w[i]);
      const auto from_u = static_cast<double>(u[i]);
      const double y = (s * from_u) + weight;
      c[i] = next;
      w[i] = weight;
      u_c += from_u * next;
      y_c += y * next;
      y_y += y * y;
    }
  }
  return {.u_c = u_c, .y_c = y_c, .y_y = y_y};
}

CGFAC_CLONES
void reduce(std::size_t count, double damped, double from_u, double alpha, const double* p_c, const float* u,
            const double* image, double* c) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    c[i] -= (damped * p_c[i]) + (from_u * static_cast<double>(u[i])) + (alpha * image[i]);
  }
}

CGFAC_CLONES
void tridiagonal_left(std::size_t count, double above, double d, double below, const double* previous,
                      const double* from, const double* next, double* to) {
#pragma omp simd
  for (std::size_t j = 0; j < count; ++j) to[j] = (above * previous[j]) + (d * from[j]) + (below * next[j]);
}

CGFAC_CLONES
void tridiagonal_right(std::size_t count, const double* d, const double* e, const double* x, double* to) {
  if (count == 1) {
    to[0] = d[0] * x[0];
    return;
  }
  to[0] = (d[0] * x[0]) + (e[0] * x[1]);
#pragma omp simd
  for (std::size_t j = 1; j < count - 1; ++j) to[j] = (e[j - 1] * x[j - 1]) + (d[j] * x[j]) + (e[j] * x[j + 1]);
  to[count - 1] = (e[count - 2] * x[count - 2]) + (d[count - 1] * x[count - 1]);
}

CGFAC_CLONES
PairSums pair_sums(std::size_t count, const float* u, const double* c, const double* w) {
  double u_c = 0;
  double c_w = 0;
#pragma omp simd reduction(+ : u_c, c_w)
  for (std::size_t i = 0; i < count; ++i) {
    u_c += static_cast<double>(u[i]) * c[i];
    c_w += c[i] * w[i];
  }
  return {.u_c = u_c, .c_w = c_w};
}

CGFAC_CLONES
void solve_tridiagonal(std::size_t count, const double* d, const double* e, double lambda, const double* mu, double* y,
                       double* scratch) {
  // forward: the pivots' inverses go to the scratch
#pragma omp simd
  for (std::size_t j = 0; j < lanes; ++j) scratch[j] = 1 / (lambda + (mu[j] * d[0]));
  for (std::size_t i = 1; i < count; ++i) {
    double* const row = y + (i * lanes);
    const double* const row_before = row - lanes;
    double* const inverse = scratch + (i * lanes);
    const double* const inverse_before = inverse - lanes;
#pragma omp simd
    for (std::size_t j = 0; j < lanes; ++j) {
      const double off = mu[j] * e[i - 1];
      const double factor = off * inverse_before[j];
      inverse[j] = 1 / (lambda + (mu[j] * d[i]) - (off * factor));
      row[j] -= factor * row_before[j];
    }
  }
#pragma omp simd
  for (std::size_t j = 0; j < lanes; ++j) y[((count - 1) * lanes) + j] *= scratch[((count - 1) * lanes) + j];
  for (std::size_t i = count - 1; i > 0;) {
    --i;
    double* const row = y + (i * lanes);
    const double* const inverse = scratch + (i * lanes);
#pragma omp simd
    for (std::size_t j = 0; j < lanes; ++j) row[j] = (row[j] - (mu[j] * e[i] * row[j + lanes])) * inverse[j];
  }
}

CGFAC_CLONES
void axpy(std::size_t count, double alpha, const double* p, double* x) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) x[i] += alpha * p[i];
}

CGFAC_CLONES
void add_column_sums(std::size_t count, std::size_t width, std::size_t step, const float* x, const float* y,
                     float* sums) {
  std::size_t j = 0;
  for (; j + lanes <= width; j += lanes) {
    std::array<float, lanes> sum{};
    for (std::size_t i = 0; i < count; ++i) {
      const float* const x_i = x + (i * step) + j;
      const float* const y_i = y + (i * width) + j;
#pragma omp simd
      for (std::size_t lane = 0; lane < lanes; ++lane) sum[lane] += x_i[lane] * y_i[lane];
    }
#pragma omp simd
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[j + lane] += sum[lane];
  }
  for (; j < width; ++j) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += x[(i * step) + j] * y[(i * width) + j];
    sums[j] += sum;
  }
}

CGFAC_CLONES
void add_scaled_columns(std::size_t count, std::size_t width, std::size_t step, const float* y, const float* w,
                        float* x) {
  for (std::size_t i = 0; i < count; ++i) {
#pragma omp simd
    for (std::size_t j = 0; j < width; ++j) x[(i * step) + j] += y[(i * width) + j] * w[j];
  }
}

namespace {

using Floats [[gnu::vector_size(lanes * sizeof(float))]] = float;
using Integers [[gnu::vector_size(lanes * sizeof(float))]] = std::int32_t;

// add_to_last_maxima for `lanes` columns.
[[gnu::always_inline]] inline void last_maxima(std::size_t count, const std::size_t* taps, const float* x,
                                               const float* dy, float* dx) {
  Floats greatest = Floats{} + std::numeric_limits<float>::lowest();
  Integers last = Integers{} - 1;
  for (std::size_t t = 0; t < count; ++t) {
    Floats from;
    std::memcpy(&from, x + taps[t], sizeof from);
    const Integers greater = from >= greatest;
    greatest = greater ? from : greatest;
    last = greater ? Integers{} + static_cast<std::int32_t>(t) : last;
  }
  Floats errors;
  std::memcpy(&errors, dy, sizeof errors);
  for (std::size_t t = 0; t < count; ++t) {
    Floats sums;
    std::memcpy(&sums, dx + taps[t], sizeof sums);
    sums += last == static_cast<std::int32_t>(t) ? errors : Floats{};
    std::memcpy(dx + taps[t], &sums, sizeof sums);
  }
}

}  // namespace

CGFAC_CLONES
void add_to_last_maxima(std::size_t count, const std::size_t* taps, std::size_t width, const float* x, const float* dy,
                        float* dx) {
  std::size_t j = 0;
  for (; j + lanes <= width; j += lanes) last_maxima(count, taps, x + j, dy + j, dx + j);
  for (; j < width; ++j) {
    float greatest = std::numeric_limits<float>::lowest();
    std::size_t last = count;
    for (std::size_t t = 0; t < count; ++t) {
      if (!(x[taps[t] + j] >= greatest)) continue;
      greatest = x[taps[t] + j];
      last = t;
    }
    if (last < count) dx[taps[last] + j] += dy[j];
  }
}

}  // namespace cgfac::simd
