#pragma once

#include <cstddef>

/// The element-wise loops of an iteration in Gram space and of convolutions channel by channel, each one pass over its
/// arrays; compiled for several processors, of which the loader takes the best one.
namespace cgfac::simd {

/// The sums of `direct`.
struct DirectSums {
  double u_c = 0;  ///< ⟨U, C⟩
  double y_c = 0;  ///< ⟨Y, C⟩, Y = sU + W
  double y_y = 0;  ///< ⟨Y, Y⟩
};

/// x ← x + step·c, then c ← r_c + β c and w ← r_w + β w; the sums are those of the new c and w. `w` may be `c`.
DirectSums direct(std::size_t count, double step, double beta, double s, const double* r_c, const double* r_w,
                  const float* u, double* c, double* w, double* x);

/// c ← c − (damped·p_c + from_u·u + α·image)
void reduce(std::size_t count, double damped, double from_u, double alpha, const double* p_c, const float* u,
            const double* image, double* c);

/// to ← above·previous + d·from + below·next, a row of L X for a tridiagonal L.
void tridiagonal_left(std::size_t count, double above, double d, double below, const double* previous,
                      const double* from, const double* next, double* to);

/// to[j] ← e[j − 1]·x[j − 1] + d[j]·x[j] + e[j]·x[j + 1], a row of X R for a tridiagonal R.
void tridiagonal_right(std::size_t count, const double* d, const double* e, const double* x, double* to);

/// The sums of `pair_sums`.
struct PairSums {
  double u_c = 0;  ///< ⟨U, C⟩
  double c_w = 0;  ///< ⟨C, W⟩
};
/// The inner products that the norm of a pair (s, C) is made of.
PairSums pair_sums(std::size_t count, const float* u, const double* c, const double* w);

/// Solves (μ_j T + λI) y_j = y_j for `lanes` right-hand sides side by side, T tridiagonal and positive semidefinite: y
/// is count × lanes, as is the scratch. No pivoting: λ exceeds what rounding may have made of T's least eigenvalue.
inline constexpr std::size_t lanes = 16;
void solve_tridiagonal(std::size_t count, const double* d, const double* e, double lambda, const double* mu, double* y,
                       double* scratch);

/// x ← x + α p
void axpy(std::size_t count, double alpha, const double* p, double* x);

/// sums[j] ← sums[j] + Σ_i x[i·step + j] · y[i·width + j], i below `count`, j below `width`.
void add_column_sums(std::size_t count, std::size_t width, std::size_t step, const float* x, const float* y,
                     float* sums);

/// x[i·step + j] ← x[i·step + j] + y[i·width + j] · w[j], i below `count`, j below `width`.
void add_scaled_columns(std::size_t count, std::size_t width, std::size_t step, const float* y, const float* w,
                        float* x);

/// For each column j below `width`: of the taps t below `count` the last one whose x[taps[t] + j] is the greatest gets
/// dy[j] added to its dx. NaN and −∞ are never the greatest; where there is nothing else, nothing is added.
void add_to_last_maxima(std::size_t count, const std::size_t* taps, std::size_t width, const float* x, const float* dy,
                        float* dx);

}  // namespace cgfac::simd
