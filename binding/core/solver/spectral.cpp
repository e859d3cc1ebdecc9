#include "core/solver/spectral.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/tiles.h"
#include "core/solver/mixed_solution.h"
#include "core/solver/spectral_parts.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Sums over the pairs of eigenvectors that every inner product is made of.
struct PairSums {
  double direct = 0;   // Σ E v̂²/(λ + E)
  double squared = 0;  // Σ E v̂²/(λ + E)²
  double rank = 0;     // Σ E/(λ + E)
  double vx = 0;       // Σ v̂²/(λ + E), ⟨v, x⟩ where nothing cancels
  double xx = 0;       // Σ v̂²/(λ + E)²

  // the sums with E·v̂² = weight
  void add(double weight, double e, double share) {
    direct += weight * share;
    squared += weight * share * share;
    rank += e * share;
  }
  // those with v̂² itself
  void add_coordinate(double coordinate2, double share) {
    vx += coordinate2 * share;
    xx += coordinate2 * share * share;
  }
};

// ⟨v, x⟩ = (‖v‖² − Σ E v̂²/(λ + E))/λ, and xᵀF x + λ‖x‖² = ⟨v, x⟩
SolutionProducts products_of(const PairSums& sums, double v_norm2, double damping) {
  SolutionProducts result;
  result.vx = (v_norm2 - sums.direct) / damping;
  result.xfx = sums.squared;
  result.xx = (result.vx - result.xfx) / damping;
  return result;
}

// Where they cancel, ⟨v, x⟩ is no less than xᵀF x, and ‖x‖² than ⟨v, x⟩²/‖v‖² (Cauchy and Schwarz).
SolutionProducts bounded(SolutionProducts products, double v_norm2) {
  products.vx = std::max(products.vx, products.xfx);
  if (v_norm2 > 0) products.xx = std::max(products.xx, products.vx * products.vx / v_norm2);
  return products;
}

// The steps of a solution from the eigenvectors of both sides.
class BothSpectra {
 public:
  BothSpectra(const GramProblem& problem, double damping);
  // Û
  void project() const;
  // C in the eigenvectors, and the sums; with `weights` E·v̂² for each pair
  [[nodiscard]] PairSums divide(double* weights) const;
  // C in the samples' basis, and x
  void assemble(const Destination& destination) const;

  [[nodiscard]] std::span<const double> input_values() const { return input_values_; }
  [[nodiscard]] std::span<const double> output_values() const { return output_values_; }
  [[nodiscard]] std::size_t clamped() const { return clamped_; }
  [[nodiscard]] Assembly assembly() const { return assembly_; }

 private:
  void decompose(std::span<double> scratch);
  double divide_pair(std::size_t i, std::size_t j, PairSums& sums) const;

  const GramProblem& problem_;
  double damping_;
  Assembly assembly_;
  double kappa_;
  std::span<double> input_values_;
  std::span<double> output_values_;
  std::size_t clamped_ = 0;
  MatrixView<float> c_;
  MatrixView<float> input_;  // rows: the eigenvectors
  MatrixView<float> output_;
  MatrixView<float> product_;
};

BothSpectra::BothSpectra(const GramProblem& problem, double damping)
    : problem_(problem), damping_(damping), assembly_(assembly_of(problem)), kappa_(kappa_of(problem)) {
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  Carver carver(problem.scratch());
  input_values_ = carver.numbers(p);
  output_values_ = carver.numbers(q);
  decompose(carver.rest());
  c_ = carver.floats(q, p);
  input_ = carver.floats(p, p);
  output_ = carver.floats(q, q);
  product_ = carver.floats(q, p);
  parallel_for(2, 10 * static_cast<double>((p * p) + (q * q)), [&](std::size_t i) {
    if (i == 0) {
      narrow(problem.input_matrix(), input_);
    } else {
      narrow(problem.output_matrix(), output_);
    }
  });
}

// K = Qᵀ Λ Q for both sides, side by side; Q takes the place of K.
void BothSpectra::decompose(std::span<double> scratch) {
  const std::size_t q = problem_.rows();
  const std::size_t p = problem_.cols();
  Carver work(scratch);
  const std::span<double> input_work = work.numbers(blas::eigen_work(p));
  const std::span<double> output_work = work.numbers(blas::eigen_work(q));
  parallel_for(2, 20 * static_cast<double>((p * p * p) + (q * q * q)), [&](std::size_t i) {
    if ((i == 0) == (p >= q)) {
      blas::eigen(problem_.input_matrix(), input_values_, input_work);
    } else {
      blas::eigen(problem_.output_matrix(), output_values_, output_work);
    }
  });
  clamped_ = clamp_to_zero(input_values_) + clamp_to_zero(output_values_);
}

// Û = Q_gᵀ U Q_a; Q_gᵀ Q_a, lacking κ, where U = κ K_g K_a is the batch's own
void BothSpectra::project() const {
  if (assembly_ == Assembly::own) {
    gemm_in_tiles(1.0F, output_, input_.transposed(), 0.0F, c_);
  } else {
    gemm_in_tiles(1.0F, problem_.u(), input_.transposed(), 0.0F, product_);
    gemm_in_tiles(1.0F, output_, product_, 0.0F, c_);
  }
}

PairSums BothSpectra::divide(double* weights) const {
  const std::size_t p = c_.cols;
  const Split split = Split::rows(c_.rows, p);
  std::array<PairSums, Split::most_row_blocks> partial{};
  parallel_for(split.blocks(), [&](std::size_t block) {
    PairSums sums;
    for (std::size_t i = split.first(block); i < split.first(block + 1); ++i) {
      for (std::size_t j = 0; j < p; ++j) {
        const double weight = divide_pair(i, j, sums);
        if (weights != nullptr) weights[(i * p) + j] = weight;
      }
    }
    partial[block] = sums;
  });
  PairSums total;
  for (std::size_t block = 0; block < split.blocks(); ++block) {
    total.direct += partial[block].direct;
    total.squared += partial[block].squared;
    total.rank += partial[block].rank;
    total.vx += partial[block].vx;
    total.xx += partial[block].xx;
  }
  return total;
}

// C_ij = Û_ij/(λ + E_ij), or −M_ij Û_ij/(λ (λ + E_ij)) for a difference, M being Λ of a covariance side, where P = I
// left it out; returns E v̂², v̂² = κ² E Û² for the batch's own gradient, Û² with covariances, M Û²/E else.
double BothSpectra::divide_pair(std::size_t i, std::size_t j, PairSums& sums) const {
  const double e = output_values_[i] * input_values_[j];
  const double share = 1 / (damping_ + e);
  const auto u = static_cast<double>(c_(i, j));
  double weight = 0;
  double element = 0;
  if (assembly_ == Assembly::own) {
    const double coordinate2 = kappa_ * kappa_ * e * u * u;
    weight = e * coordinate2;
    element = kappa_ * u * share;
    sums.add_coordinate(coordinate2, share);
  } else if (assembly_ == Assembly::covariances) {
    weight = e * u * u;
    element = u * share;
    sums.add_coordinate(u * u, share);
  } else {
    const double covariance = (problem_.forms().output_panel() ? 1 : output_values_[i]) *
                              (problem_.forms().input_panel() ? 1 : input_values_[j]);
    weight = covariance * u * u;
    element = -(covariance * u * share) / damping_;
  }
  sums.add(weight, e, share);
  c_(i, j) = static_cast<float>(element);
  return weight;
}

// Q_g C Q_aᵀ, into U's place, so that all of the scratch is free for the pass
void BothSpectra::assemble(const Destination& destination) const {
  gemm_in_tiles(1.0F, c_, input_, 0.0F, product_);
  gemm_in_tiles(1.0F, output_.transposed(), product_, 0.0F, problem_.u());
  const double s = assembly_ == Assembly::difference ? 1 / damping_ : 0;
  problem_.expand(s, problem_.u(), destination, problem_.scratch());
}

}  // namespace

std::size_t exact_scratch_numbers(const FisherBlock& block) {
  const auto [q, p] = ProjectedShape(block, gram_forms(block));
  const std::size_t changing = (((q * q) + (p * p) + (2 * q * p)) / 2) + 4 + (8 * std::max(q, p));
  return std::max(mixed_scratch_numbers(block), q + p + std::max(blas::eigen_work(q) + blas::eigen_work(p), changing));
}

Spectrum::Values Spectrum::at(double damping) const {
  PairSums sums;
  const std::size_t p = input_values.size();
  for (std::size_t i = 0; i < output_values.size(); ++i) {
    for (std::size_t j = 0; j < p; ++j) {
      const double e = output_values[i] * input_values[j];
      sums.add(weights[(i * p) + j], e, 1 / (damping + e));
    }
  }
  return {.products = bounded(products_of(sums, v_norm2, damping), v_norm2),
          .lambda_max = input_values.empty() ? 0 : std::ranges::max(output_values) * std::ranges::max(input_values),
          .effective_rank = sums.rank};
}

ExactSummary solve_exact(const GramProblem& problem, double damping, const Destination& destination,
                         Spectrum* spectrum) {
  if (spectrum == nullptr && std::min(problem.rows(), problem.cols()) >= smallest_mixed) {
    ExactSummary summary = solve_mixed(problem, damping, destination);
    if (assembly_of(problem) != Assembly::covariances)
      mend_products(summary.values.products, problem.v_norm2(), damping,
                    {.extent = std::sqrt(problem.v_norm2()) / damping}, destination);
    return summary;
  }
  const BothSpectra both(problem, damping);
  both.project();
  if (spectrum != nullptr) {
    spectrum->input_values.assign(both.input_values().begin(), both.input_values().end());
    spectrum->output_values.assign(both.output_values().begin(), both.output_values().end());
    spectrum->weights.resize(problem.rows() * problem.cols());
    spectrum->v_norm2 = problem.v_norm2();
  }
  const PairSums sums = both.divide(spectrum == nullptr ? nullptr : spectrum->weights.data());
  ExactSummary summary;
  summary.clamped = both.clamped();
  summary.values.products = products_of(sums, problem.v_norm2(), damping);
  if (both.assembly() != Assembly::difference)
    summary.values.products = {.vx = sums.vx, .xfx = sums.squared, .xx = sums.xx};
  summary.values.lambda_max = std::ranges::max(both.output_values()) * std::ranges::max(both.input_values());
  summary.values.effective_rank = sums.rank;
  both.assemble(destination);
  // the rounding of K is more than a small eigenvalue is, of which a batch's own gradient has a share
  if (both.assembly() == Assembly::covariances) return summary;
  // of x = P_g C P_aᵀ, or of v/λ
  const double extent = both.assembly() == Assembly::own
                            ? std::sqrt(summary.values.lambda_max * blas::square(problem.u().elements()))
                            : std::sqrt(problem.v_norm2()) / damping;
  mend_products(summary.values.products, problem.v_norm2(), damping,
                {.extent = extent, .condition = summary.values.lambda_max / damping}, destination);
  return summary;
}

}  // namespace cgfac
