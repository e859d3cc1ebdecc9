#include "core/solver/spectral.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/linalg/lapack.h"
#include "core/linalg/simd.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Sums over the pairs of eigenvectors that every inner product is made of.
struct PairSums {
  double direct = 0;   // Σ E v̂²/(λ + E)
  double squared = 0;  // Σ E v̂²/(λ + E)²
  double rank = 0;     // Σ E/(λ + E)
};

// ⟨v, x⟩ = (‖v‖² − Σ E v̂²/(λ + E))/λ, and xᵀF x + λ‖x‖² = ⟨v, x⟩
SolutionProducts products_of(const PairSums& sums, double v_norm2, double damping) {
  SolutionProducts result;
  result.vx = (v_norm2 - sums.direct) / damping;
  result.xfx = sums.squared;
  result.xx = (result.vx - result.xfx) / damping;
  return result;
}

std::size_t clamp_to_zero(std::span<double> values) {
  const auto negative = std::ranges::count_if(values, [](double x) { return !(x >= 0); });
  for (double& value : values) value = std::max(value, 0.0);
  return static_cast<std::size_t>(negative);
}

// Below it two eigendecompositions cost as little as what follows.
constexpr std::size_t smallest_mixed = 48;

// Which side is diagonalised; the other one is made tridiagonal.
bool diagonalise_input(const BlockForms& forms, std::size_t q, std::size_t p) {
  if (forms.input == forms.output) return p <= q;
  return forms.input == FactorForm::covariance;  // its Λ multiplies Û
}

// The eigendecomposition of one side and the reduction of the other, both split over two threads: the tridiagonal
// matrix of the first is torn in two halves, which are decomposed side by side and merged.
struct MixedBases {
  MatrixView<double> z;  // rows: eigenvectors of the tridiagonal matrix
  std::span<double> values;
  std::size_t clamped = 0;
  std::span<double> diagonal;  // of the other side
  std::span<double> off_diagonal;
};

std::size_t mixed_numbers(std::size_t e, std::size_t t) {
  const std::size_t halves = 2 * blas::tridiagonal_eigen_work((e + 1) / 2);
  return (3 * e) + (3 * t) + (e * e) +
         std::max({halves, blas::merge_work(e) + blas::reflector_work(e) + blas::reflector_work(t),
                   ((3 * t * t) / 2) + 1 + blas::tridiagonal_eigen_work(t)});
}

MixedBases mixed_bases(MatrixView<double> diagonalised, MatrixView<double> reduced, Carver& carver) {
  const std::size_t e = diagonalised.rows;
  const std::size_t t = reduced.rows;
  MixedBases result;
  result.values = carver.numbers(e);
  const std::span<double> off = carver.numbers(e);
  const std::span<double> tau = carver.numbers(e);
  const std::span<double> other_diagonal = carver.numbers(t);
  const std::span<double> other_off = carver.numbers(t);
  const std::span<double> other_tau = carver.numbers(t);
  result.z = carver.doubles(e, e);
  result.diagonal = other_diagonal;
  result.off_diagonal = other_off;
  {
    Carver work(carver.rest());
    const std::span<double> own = work.numbers(blas::reflector_work(e));
    const std::span<double> other = work.numbers(blas::reflector_work(t));
    parallel_for(2, [&](std::size_t i) {
      if ((i == 0) == (e >= t)) {
        blas::reduce(diagonalised, result.values, off, tau, own);
      } else {
        blas::reduce(reduced, other_diagonal, other_off, other_tau, other);
      }
    });
  }
  double norm = 0;
  for (const double x : result.values) norm = std::max(norm, std::abs(x));
  for (const double x : off.first(e - 1)) norm = std::max(norm, std::abs(x));
  if (norm == 0) norm = 1;
  for (double& x : result.values) x /= norm;
  for (double& x : off.first(e - 1)) x /= norm;
  const std::size_t cut = e / 2;
  const double rho = off[cut - 1];
  result.values[cut - 1] -= std::abs(rho);
  result.values[cut] -= std::abs(rho);
  std::ranges::fill(result.z.elements(), 0.0);
  {
    Carver work(carver.rest());
    const std::span<double> first = work.numbers(blas::tridiagonal_eigen_work(cut));
    const std::span<double> second = work.numbers(blas::tridiagonal_eigen_work(e - cut));
    parallel_for(2, [&](std::size_t i) {
      if (i == 0) {
        blas::tridiagonal_eigen(result.values.subspan(cut), off.subspan(cut),
                                result.z.rows_from(cut, e - cut).columns(cut, e - cut), second);
      } else {
        blas::tridiagonal_eigen(result.values.first(cut), off.first(cut), result.z.rows_from(0, cut).columns(0, cut),
                                first);
      }
    });
  }
  {
    Carver work(carver.rest());
    const std::span<double> merging = work.numbers(blas::merge_work(e));
    const std::span<double> own = work.numbers(blas::reflector_work(e));
    const std::span<double> other = work.numbers(blas::reflector_work(t));
    parallel_for(3, [&](std::size_t i) {
      if (i == 0) blas::merge_eigen(result.values, result.z, rho, cut, merging);
      if (i == 1) blas::form_reflectors(diagonalised, tau, own);
      if (i == 2) blas::form_reflectors(reduced, other_tau, other);
    });
  }
  for (double& x : result.values) x *= norm;
  result.clamped = clamp_to_zero(result.values);
  return result;
}

// Whether λ stands above what float32 rounding makes of an eigenvalue 0 of F, so that the tridiagonal side needs no
// clamping.
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

// Eigenvectors of a tridiagonal matrix fall off so fast that float32 would have denormal numbers, on which products
// crawl.
void narrow_vectors(MatrixView<const double> from, MatrixView<float> to) {
  constexpr double nothing = 1e-30;
  std::ranges::transform(from.elements(), to.data,
                         [](double x) { return std::abs(x) < nothing ? 0.0F : static_cast<float>(x); });
}

// v = κ P_g P_aᵀ under the empirical Fisher
double kappa_of(const GramProblem& problem) {
  return problem.gradient().scale / std::sqrt(problem.block().input.scale * problem.block().output.scale);
}

std::span<double> strip_memory(const MixedBases& bases, std::size_t strip_numbers, Carver& carver) {
  return bases.z.size() >= strip_numbers ? bases.z.elements() : carver.numbers(strip_numbers);
}

// (μ_j T + λI) c_j = ũ_j for every eigenvalue μ_j of one side, T being the other side's tridiagonal matrix.
ExactSummary solve_mixed(const GramProblem& problem, double damping, const Destination& destination) {
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  const bool input = diagonalise_input(problem.forms(), q, p);
  const std::size_t e = input ? p : q;
  const std::size_t t = input ? q : p;
  const MatrixView<double>& diagonalised = input ? problem.input_matrix() : problem.output_matrix();
  const MatrixView<double>& reduced = input ? problem.output_matrix() : problem.input_matrix();
  Carver carver(problem.scratch());
  MixedBases bases = mixed_bases(diagonalised, reduced, carver);
  // Where λ does not stand out, the other side is diagonalised as well: T becomes the diagonal of its clamped
  // eigenvalues.
  MatrixView<float> other_vectors{};
  if (!well_damped(bases, damping)) {
    other_vectors = carver.floats(t, t);
    Carver work(carver.rest());
    const MatrixView<double> z = work.doubles(t, t);
    blas::tridiagonal_eigen(bases.diagonal, bases.off_diagonal, z, work.rest());
    std::ranges::fill(bases.off_diagonal, 0.0);
    bases.clamped += clamp_to_zero(bases.diagonal);
    narrow_vectors(z, other_vectors);
  }

  const MatrixView<float> c = carver.floats(t, e);
  const MatrixView<float> product = carver.floats(t, e);
  const MatrixView<float> diagonal_reflectors = carver.floats(e, e);
  const MatrixView<float> reduced_reflectors = carver.floats(t, t);
  const MatrixView<float> vectors = carver.floats(e, e);
  parallel_for(3, [&](std::size_t i) {
    if (i == 0) narrow(diagonalised, diagonal_reflectors);
    if (i == 1) narrow(reduced, reduced_reflectors);
    if (i == 2) narrow_vectors(bases.z, vectors);
  });
  const bool both = !problem.input_panel() && !problem.output_panel();
  const bool own = problem.input_panel() && problem.output_panel() && empirical(problem.block(), problem.gradient());
  const double kappa = own ? kappa_of(problem) : 1;
  // ũ = H_t U H_eᵀ Zᵀ, the tridiagonal side in the rows
  if (own) {
    gemm_in_tiles(1.0F, reduced_reflectors, diagonal_reflectors.transposed(), 0.0F, product);
    gemm_in_tiles(1.0F, product, vectors.transposed(), 0.0F, c);
  } else {
    const MatrixView<const float> u = input ? problem.u() : problem.u().transposed();
    gemm_in_tiles(1.0F, u, diagonal_reflectors.transposed(), 0.0F, c);
    gemm_in_tiles(1.0F, c, vectors.transposed(), 0.0F, product);
    gemm_in_tiles(1.0F, reduced_reflectors, product, 0.0F, c);
  }
  if (other_vectors.data != nullptr) {
    std::ranges::copy(c.elements(), product.data);
    gemm_in_tiles(1.0F, other_vectors, product, 0.0F, c);
  }

  const bool covariance = !both && !(input ? problem.input_panel() : problem.output_panel());
  const std::size_t strips = (e + kernels::lanes - 1) / kernels::lanes;
  const std::size_t strip_numbers = ((2 * t) + 1) * kernels::lanes;
  // in the memory of the eigenvectors' float64 form, which has been narrowed
  const std::span<double> memory = strip_memory(bases, strip_numbers, carver);
  const std::size_t blocks = std::min({strips, Split::most_row_blocks, memory.size() / strip_numbers});
  std::array<SolutionProducts, Split::most_row_blocks> partial{};
  parallel_for(blocks, [&](std::size_t block) {
    const std::span<double> own_memory = memory.subspan(block * strip_numbers, strip_numbers);
    double* const y = own_memory.data();
    double* const pivots = y + (t * kernels::lanes);
    double* const mu = pivots + (t * kernels::lanes);
    SolutionProducts sums{.vx = 0, .xfx = 0, .xx = 0};
    for (std::size_t strip = strips * block / blocks; strip < strips * (block + 1) / blocks; ++strip) {
      const std::size_t first = strip * kernels::lanes;
      const std::size_t count = std::min(kernels::lanes, e - first);
      for (std::size_t j = 0; j < kernels::lanes; ++j) mu[j] = j < count ? bases.values[first + j] : 0;
      for (std::size_t i = 0; i < t; ++i) {
        for (std::size_t j = 0; j < kernels::lanes; ++j) {
          y[(i * kernels::lanes) + j] = j < count ? kappa * static_cast<double>(c(i, first + j)) : 0;
        }
      }
      kernels::solve_tridiagonal(t, bases.diagonal.data(), bases.off_diagonal.data(), damping, mu, y, pivots);
      for (std::size_t i = 0; i < t; ++i) {
        for (std::size_t j = 0; j < count; ++j) {
          const double right = kappa * static_cast<double>(c(i, first + j));
          const double solved = y[(i * kernels::lanes) + j];
          if (own) {
            const double rest = right - (damping * solved);  // P_gᵀ x P_a
            sums.vx += right * rest;
            sums.xfx += rest * rest;
            c(i, first + j) = static_cast<float>(solved);
          } else if (both) {
            sums.vx += right * solved;
            sums.xfx += (right - (damping * solved)) * solved;
            sums.xx += solved * solved;
            c(i, first + j) = static_cast<float>(solved);
          } else {
            const double weight = covariance ? mu[j] : 1;
            sums.vx += weight * right * solved;
            sums.xfx += weight * solved * solved;
            c(i, first + j) = static_cast<float>(-weight * solved / damping);
          }
        }
      }
    }
    partial[block] = sums;
  });
  ExactSummary summary;
  summary.clamped = bases.clamped;
  SolutionProducts& products = summary.values.products;
  products = {.vx = 0, .xfx = 0, .xx = 0};
  for (std::size_t block = 0; block < blocks; ++block) {
    products.vx += partial[block].vx;
    products.xfx += partial[block].xfx;
    products.xx += partial[block].xx;
  }
  if (!both && !own) products.vx = (problem.v_norm2() - products.vx) / damping;
  if (!both) products.xx = (products.vx - products.xfx) / damping;

  // C = H_tᵀ c Z H_e
  if (other_vectors.data != nullptr) {
    std::ranges::copy(c.elements(), product.data);
    gemm_in_tiles(1.0F, other_vectors.transposed(), product, 0.0F, c);
  }
  gemm_in_tiles(1.0F, c, vectors, 0.0F, product);
  gemm_in_tiles(1.0F, product, diagonal_reflectors, 0.0F, c);
  // into U's place, so that all of the scratch is free for the pass
  gemm_in_tiles(1.0F, reduced_reflectors.transposed(), c, 0.0F, input ? problem.u() : problem.u().transposed());
  problem.expand(both || own ? 0 : 1 / damping, problem.u(), destination, problem.scratch());
  return summary;
}

}  // namespace

std::size_t exact_scratch_numbers(const FisherBlock& block) {
  const BlockForms forms = gram_forms(block);
  const std::size_t q = projected_size(block.output, forms.output);
  const std::size_t p = projected_size(block.input, forms.input);
  const std::size_t changing = (((q * q) + (p * p) + (2 * q * p)) / 2) + 4 + (8 * std::max(q, p));
  const bool input = diagonalise_input(forms, q, p);
  const std::size_t e = input ? p : q;
  const std::size_t t = input ? q : p;
  const std::size_t strip_numbers = ((2 * t) + 1) * kernels::lanes;
  const std::size_t mixed_changing = (3 * e) + (3 * t) + (e * e) + (((2 * q * p) + (2 * e * e) + (2 * t * t)) / 2) + 8 +
                                     (e * e >= strip_numbers ? 0 : strip_numbers);
  const std::size_t mixed = std::min(q, p) < smallest_mixed ? 0 : std::max(mixed_numbers(e, t), mixed_changing);
  return std::max(mixed, q + p + std::max(blas::eigen_work(q) + blas::eigen_work(p), changing));
}

Spectrum::Values Spectrum::at(double damping) const {
  PairSums sums;
  const std::size_t p = input_values.size();
  for (std::size_t i = 0; i < output_values.size(); ++i) {
    for (std::size_t j = 0; j < p; ++j) {
      const double e = output_values[i] * input_values[j];
      const double share = 1 / (damping + e);
      sums.direct += weights[(i * p) + j] * share;
      sums.squared += weights[(i * p) + j] * share * share;
      sums.rank += e * share;
    }
  }
  return {.products = products_of(sums, v_norm2, damping),
          .lambda_max = input_values.empty() ? 0 : std::ranges::max(output_values) * std::ranges::max(input_values),
          .effective_rank = sums.rank};
}

ExactSummary solve_exact(const GramProblem& problem, double damping, const Destination& destination,
                         Spectrum* spectrum) {
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  if (spectrum == nullptr && std::min(q, p) >= smallest_mixed) {
    return solve_mixed(problem, damping, destination);
  }
  Carver carver(problem.scratch());
  const std::span<double> input_values = carver.numbers(p);
  const std::span<double> output_values = carver.numbers(q);
  {
    Carver work(carver.rest());
    const std::span<double> input_work = work.numbers(blas::eigen_work(p));
    const std::span<double> output_work = work.numbers(blas::eigen_work(q));
    const auto cubes = static_cast<double>((p * p * p) + (q * q * q));
    parallel_for(2, 20 * cubes, [&](std::size_t i) {
      if ((i == 0) == (p >= q)) {
        blas::eigen(problem.input_matrix(), input_values, input_work);
      } else {
        blas::eigen(problem.output_matrix(), output_values, output_work);
      }
    });
  }
  ExactSummary summary;
  summary.clamped = clamp_to_zero(input_values) + clamp_to_zero(output_values);

  // Û ← Q_gᵀ U Q_a; the rows of the matrices are the eigenvectors
  const MatrixView<float> c = carver.floats(q, p);
  Carver bases(carver.rest());
  const MatrixView<float> input = bases.floats(p, p);
  const MatrixView<float> output = bases.floats(q, q);
  const MatrixView<float> product = bases.floats(q, p);
  parallel_for(2, 10 * static_cast<double>((p * p) + (q * q)), [&](std::size_t i) {
    if (i == 0) {
      narrow(problem.input_matrix(), input);
    } else {
      narrow(problem.output_matrix(), output);
    }
  });
  const Gradient& gradient = problem.gradient();
  const bool own = problem.input_panel() && problem.output_panel() && empirical(problem.block(), gradient);
  // v = κ P_g P_aᵀ under the empirical Fisher
  const double kappa = own ? gradient.scale / std::sqrt(problem.block().input.scale * problem.block().output.scale) : 1;
  if (own) {
    gemm_in_tiles(1.0F, output, input.transposed(), 0.0F, c);
  } else {
    gemm_in_tiles(1.0F, problem.u(), input.transposed(), 0.0F, product);
    gemm_in_tiles(1.0F, output, product, 0.0F, c);
  }

  const bool both = !problem.input_panel() && !problem.output_panel();
  const bool free_of_cancellation = both || own;
  if (spectrum != nullptr) {
    spectrum->input_values.assign(input_values.begin(), input_values.end());
    spectrum->output_values.assign(output_values.begin(), output_values.end());
    spectrum->weights.resize(q * p);
    spectrum->v_norm2 = problem.v_norm2();
  }
  const Split split = Split::rows(q, p);
  std::array<PairSums, Split::most_row_blocks> partial{};
  std::array<std::array<double, 2>, Split::most_row_blocks> direct{};  // ⟨v, x⟩ and ‖x‖² where nothing cancels
  parallel_for(split.blocks(), [&](std::size_t block) {
    PairSums sums;
    double vx = 0;
    double xx = 0;
    for (std::size_t i = split.first(block); i < split.first(block + 1); ++i) {
      for (std::size_t j = 0; j < p; ++j) {
        const double e = output_values[i] * input_values[j];
        const double share = 1 / (damping + e);
        // Û on a covariance side is multiplied by Λ, where P being I left it out
        const double covariance =
            (problem.output_panel() ? 1 : output_values[i]) * (problem.input_panel() ? 1 : input_values[j]);
        const auto u = static_cast<double>(c(i, j));
        double weight = 0;  // E v̂²
        double element = 0;
        if (own) {  // v̂² = κ² E u²
          const double coordinate2 = kappa * kappa * e * u * u;
          weight = e * coordinate2;
          element = kappa * u * share;
          vx += coordinate2 * share;
          xx += coordinate2 * share * share;
        } else if (both) {  // v̂ = u
          weight = e * u * u;
          element = u * share;
          vx += u * u * share;
          xx += u * u * share * share;
        } else {
          weight = covariance * u * u;
          element = -(covariance * u * share) / damping;
        }
        sums.direct += weight * share;
        sums.squared += weight * share * share;
        sums.rank += e * share;
        if (spectrum != nullptr) spectrum->weights[(i * p) + j] = weight;
        c(i, j) = static_cast<float>(element);
      }
    }
    partial[block] = sums;
    direct[block] = {vx, xx};
  });
  PairSums sums;
  double vx = 0;
  double xx = 0;
  for (std::size_t block = 0; block < split.blocks(); ++block) {
    sums.direct += partial[block].direct;
    sums.squared += partial[block].squared;
    sums.rank += partial[block].rank;
    vx += direct[block][0];
    xx += direct[block][1];
  }
  summary.values.products = products_of(sums, problem.v_norm2(), damping);
  if (free_of_cancellation) summary.values.products = {.vx = vx, .xfx = sums.squared, .xx = xx};
  summary.values.lambda_max = std::ranges::max(output_values) * std::ranges::max(input_values);
  summary.values.effective_rank = sums.rank;

  gemm_in_tiles(1.0F, c, input, 0.0F, product);
  gemm_in_tiles(1.0F, output.transposed(), product, 0.0F, problem.u());  // all of the scratch is free for the pass
  problem.expand(free_of_cancellation ? 0 : 1 / damping, problem.u(), destination, problem.scratch());
  return summary;
}

}  // namespace cgfac
