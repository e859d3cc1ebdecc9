#include "core/exact_solver.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/blas.h"
#include "core/parallel.h"

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

constexpr std::size_t most_blocks = 8;

}  // namespace

std::size_t exact_scratch_numbers(const FisherBlock& block) {
  const BlockForms forms = gram_forms(block);
  const std::size_t q = projected_size(block.output, forms.output);
  const std::size_t p = projected_size(block.input, forms.input);
  const std::size_t changing = (((q * q) + (p * p) + (2 * q * p)) / 2) + 4 + (8 * std::max(q, p));
  return q + p + std::max(blas::eigen_work(q) + blas::eigen_work(p), changing);
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
          .lambda_max = input_values.empty() ? 0 : output_values.back() * input_values.back(),
          .effective_rank = sums.rank};
}

ExactSummary solve_exact(const GramProblem& problem, double damping, const Destination& destination,
                         Spectrum* spectrum) {
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  Carver carver(problem.scratch());
  const std::span<double> input_values = carver.numbers(p);
  const std::span<double> output_values = carver.numbers(q);
  {
    Carver work(carver.rest());
    const std::span<double> input_work = work.numbers(blas::eigen_work(p));
    const std::span<double> output_work = work.numbers(blas::eigen_work(q));
    parallel_for(2, [&](std::size_t i) {
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
  parallel_for(2, [&](std::size_t i) {
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
  std::array<PairSums, most_blocks> partial{};
  std::array<std::array<double, 2>, most_blocks> direct{};  // ⟨v, x⟩ and ‖x‖² where nothing cancels
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
        const double u = static_cast<double>(c(i, j));
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
  summary.values.lambda_max = output_values[q - 1] * input_values[p - 1];
  summary.values.effective_rank = sums.rank;

  gemm_in_tiles(1.0F, c, input, 0.0F, product);
  gemm_in_tiles(1.0F, output.transposed(), product, 0.0F, c);
  problem.expand(free_of_cancellation ? 0 : 1 / damping, c, destination, carver.rest());
  return summary;
}

}  // namespace cgfac
