#include "core/solver/mixed_bases.h"

#include <algorithm>
#include <cmath>

#include "core/linalg/lapack.h"
#include "core/solver/spectral_parts.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// A matrix on its way to Hᵀ T H: T and, in `matrix` and `tau`, the reflectors whose product is H.
struct Reduction {
  MatrixView<double> matrix;
  std::span<double> diagonal;
  std::span<double> off_diagonal;
  std::span<double> tau;

  Reduction(MatrixView<double> from, Carver& carver)
      : matrix(from),
        diagonal(carver.numbers(from.rows)),
        off_diagonal(carver.numbers(from.rows)),
        tau(carver.numbers(from.rows)) {}
};

// Both reductions, the larger one on the thread that begins.
void reduce_both(const Reduction& first, const Reduction& second, std::span<double> scratch) {
  Carver work(scratch);
  const std::span<double> first_work = work.numbers(blas::reflector_work(first.matrix.rows));
  const std::span<double> second_work = work.numbers(blas::reflector_work(second.matrix.rows));
  parallel_for(2, [&](std::size_t i) {
    if ((i == 0) == (first.matrix.rows >= second.matrix.rows)) {
      blas::reduce(first.matrix, first.diagonal, first.off_diagonal, first.tau, first_work);
    } else {
      blas::reduce(second.matrix, second.diagonal, second.off_diagonal, second.tau, second_work);
    }
  });
}

// T torn at `cut`: T = diag(T₁, T₂) + rho u uᵀ, |rho| being taken from the diagonal on both sides of it. T is divided
// by its norm first.
struct Torn {
  double norm = 0;
  std::size_t cut;
  double rho = 0;

  Torn(std::span<double> diagonal, std::span<double> off_diagonal) : cut(diagonal.size() / 2) {
    const std::span<double> off = off_diagonal.first(diagonal.size() - 1);
    for (const double x : diagonal) norm = std::max(norm, std::abs(x));
    for (const double x : off) norm = std::max(norm, std::abs(x));
    if (norm == 0) norm = 1;
    for (double& x : diagonal) x /= norm;
    for (double& x : off) x /= norm;
    rho = off[cut - 1];
    diagonal[cut - 1] -= std::abs(rho);
    diagonal[cut] -= std::abs(rho);
  }
};

// Both halves decomposed side by side, z block-diagonal.
void decompose_halves(const Torn& torn, const Reduction& reduction, const MatrixView<double>& z,
                      std::span<double> scratch) {
  const std::size_t cut = torn.cut;
  const std::size_t rest = z.rows - cut;
  std::ranges::fill(z.elements(), 0.0);
  Carver work(scratch);
  const std::span<double> first_work = work.numbers(blas::tridiagonal_eigen_work(cut));
  const std::span<double> second_work = work.numbers(blas::tridiagonal_eigen_work(rest));
  parallel_for(2, [&](std::size_t i) {
    if (i == 0) {
      blas::tridiagonal_eigen(reduction.diagonal.subspan(cut), reduction.off_diagonal.subspan(cut),
                              z.rows_from(cut, rest).columns(cut, rest), second_work);
    } else {
      blas::tridiagonal_eigen(reduction.diagonal.first(cut), reduction.off_diagonal.first(cut),
                              z.rows_from(0, cut).columns(0, cut), first_work);
    }
  });
}

// The halves merged, and H of both matrices beside that.
void merge_and_form(const Torn& torn, const Reduction& first, const Reduction& second, const MatrixView<double>& z,
                    std::span<double> scratch) {
  Carver work(scratch);
  const std::span<double> merging = work.numbers(blas::merge_work(z.rows));
  const std::span<double> first_work = work.numbers(blas::reflector_work(first.matrix.rows));
  const std::span<double> second_work = work.numbers(blas::reflector_work(second.matrix.rows));
  parallel_for(3, [&](std::size_t i) {
    if (i == 0) blas::merge_eigen(first.diagonal, z, torn.rho, torn.cut, merging);
    if (i == 1) blas::form_reflectors(first.matrix, first.tau, first_work);
    if (i == 2) blas::form_reflectors(second.matrix, second.tau, second_work);
  });
  for (double& x : first.diagonal) x *= torn.norm;
}

}  // namespace

std::size_t mixed_bases_numbers(std::size_t e, std::size_t t) {
  const std::size_t halves = 2 * blas::tridiagonal_eigen_work((e + 1) / 2);
  return (3 * e) + (3 * t) + (e * e) +
         std::max({halves, blas::merge_work(e) + blas::reflector_work(e) + blas::reflector_work(t),
                   ((3 * t * t) / 2) + 1 + blas::tridiagonal_eigen_work(t)});
}

MixedBases mixed_bases(MatrixView<double> diagonalised, MatrixView<double> reduced, Carver& carver) {
  const Reduction first(diagonalised, carver);
  const Reduction second(reduced, carver);
  MixedBases result{.z = carver.doubles(diagonalised.rows, diagonalised.rows),
                    .values = first.diagonal,
                    .diagonal = second.diagonal,
                    .off_diagonal = second.off_diagonal};
  reduce_both(first, second, carver.rest());
  const Torn torn(first.diagonal, first.off_diagonal);
  decompose_halves(torn, first, result.z, carver.rest());
  merge_and_form(torn, first, second, result.z, carver.rest());
  result.clamped = clamp_to_zero(result.values);
  return result;
}

bool well_damped(const MixedBases& bases, double damping) {
  constexpr double rounding = 16 * 0x1p-24;
  const std::size_t t = bases.diagonal.size();
  double norm = 0;  // of T, by its row sums
  for (std::size_t i = 0; i < t; ++i) {
    norm = std::max(norm, std::abs(bases.diagonal[i]) + (i > 0 ? std::abs(bases.off_diagonal[i - 1]) : 0) +
                              (i + 1 < t ? std::abs(bases.off_diagonal[i]) : 0));
  }
  return damping >= rounding * norm * std::ranges::max(bases.values);
}

MatrixView<float> diagonalise_rest(MixedBases& bases, Carver& carver) {
  const std::size_t t = bases.diagonal.size();
  const MatrixView<float> vectors = carver.floats(t, t);
  Carver work(carver.rest());
  const MatrixView<double> z = work.doubles(t, t);
  blas::tridiagonal_eigen(bases.diagonal, bases.off_diagonal, z, work.rest());
  std::ranges::fill(bases.off_diagonal, 0.0);
  bases.clamped += clamp_to_zero(bases.diagonal);
  narrow_vectors(z, vectors);
  return vectors;
}

void narrow_vectors(MatrixView<const double> from, MatrixView<float> to) {
  constexpr double nothing = 1e-30;
  std::ranges::transform(from.elements(), to.data,
                         [](double x) { return std::abs(x) < nothing ? 0.0F : static_cast<float>(x); });
}

}  // namespace cgfac
