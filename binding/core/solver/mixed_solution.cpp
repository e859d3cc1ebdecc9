#include "core/solver/mixed_solution.h"

#include <algorithm>
#include <array>

#include "core/linalg/simd.h"
#include "core/linalg/tiles.h"
#include "core/solver/mixed_bases.h"
#include "core/solver/spectral_parts.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Which side is diagonalised; the other one is made tridiagonal.
bool diagonalise_input(const BlockForms& forms, std::size_t q, std::size_t p) {
  if (forms.input == forms.output) return p <= q;
  return !forms.input_panel();  // its Λ multiplies Û
}

// Systems of `lanes` eigenvalues at a time: their right-hand sides, pivots and eigenvalues.
std::size_t strip_numbers(std::size_t t) {
  return ((2 * t) + 1) * simd::lanes;
}

// The steps of a solution. Matrices between the bases have the tridiagonal side in their t rows, the diagonalised one
// in their e columns.
class MixedSolution {
 public:
  MixedSolution(const GramProblem& problem, double damping);
  // Ũ
  void project() const;
  // c, and the inner products of the solution
  [[nodiscard]] SolutionProducts divide();
  // C, and x
  void assemble(const Destination& destination) const;
  [[nodiscard]] std::size_t clamped() const { return bases_.clamped; }

 private:
  void solve_strip(std::size_t first, double* memory, SolutionProducts& sums) const;
  float element_of(double right, double solved, double mu, SolutionProducts& sums) const;
  // U, or the place of C, in the orientation of the steps
  [[nodiscard]] MatrixView<float> u() const { return input_ ? problem_.u() : problem_.u().transposed(); }

  const GramProblem& problem_;
  double damping_;
  Assembly assembly_;
  double kappa_;
  bool input_;                              // whether the input side is the diagonalised one
  bool covariance_;                         // whether the diagonalised side is, alone, a covariance
  MatrixView<double> diagonalised_matrix_;  // H_e
  MatrixView<double> reduced_matrix_;       // H_t
  Carver carver_;
  MixedBases bases_;
  MatrixView<float> other_vectors_;  // of T, where it had to be diagonalised too
  MatrixView<float> c_;
  MatrixView<float> product_;
  MatrixView<float> diagonal_reflectors_;  // H_e in float32
  MatrixView<float> reduced_reflectors_;   // H_t
  MatrixView<float> vectors_;              // Z
};

MixedSolution::MixedSolution(const GramProblem& problem, double damping)
    : problem_(problem),
      damping_(damping),
      assembly_(assembly_of(problem)),
      kappa_(kappa_of(problem)),
      input_(diagonalise_input(problem.forms(), problem.rows(), problem.cols())),
      covariance_(!problem.forms().covariances() &&
                  !(input_ ? problem.forms().input_panel() : problem.forms().output_panel())),
      diagonalised_matrix_(input_ ? problem.input_matrix() : problem.output_matrix()),
      reduced_matrix_(input_ ? problem.output_matrix() : problem.input_matrix()),
      carver_(problem.scratch()),
      bases_(mixed_bases(diagonalised_matrix_, reduced_matrix_, carver_)) {
  // Where λ does not stand out, T becomes the diagonal of its clamped eigenvalues.
  if (!well_damped(bases_, damping)) other_vectors_ = diagonalise_rest(bases_, carver_);
  const std::size_t e = diagonalised_matrix_.rows;
  const std::size_t t = reduced_matrix_.rows;
  c_ = carver_.floats(t, e);
  product_ = carver_.floats(t, e);
  diagonal_reflectors_ = carver_.floats(e, e);
  reduced_reflectors_ = carver_.floats(t, t);
  vectors_ = carver_.floats(e, e);
  parallel_for(3, [&](std::size_t i) {
    if (i == 0) narrow(diagonalised_matrix_, diagonal_reflectors_);
    if (i == 1) narrow(reduced_matrix_, reduced_reflectors_);
    if (i == 2) narrow_vectors(bases_.z, vectors_);
  });
}

// Ũ = H_t U H_eᵀ Zᵀ; H_t H_eᵀ Zᵀ, lacking κ, where U = κ K_g K_a is the batch's own
void MixedSolution::project() const {
  if (assembly_ == Assembly::own) {
    gemm_in_tiles(1.0F, reduced_reflectors_, diagonal_reflectors_.transposed(), 0.0F, product_);
    gemm_in_tiles(1.0F, product_, vectors_.transposed(), 0.0F, c_);
  } else {
    gemm_in_tiles(1.0F, u(), diagonal_reflectors_.transposed(), 0.0F, c_);
    gemm_in_tiles(1.0F, c_, vectors_.transposed(), 0.0F, product_);
    gemm_in_tiles(1.0F, reduced_reflectors_, product_, 0.0F, c_);
  }
  if (other_vectors_.data != nullptr) {
    std::ranges::copy(c_.elements(), product_.data);
    gemm_in_tiles(1.0F, other_vectors_, product_, 0.0F, c_);
  }
}

SolutionProducts MixedSolution::divide() {
  const std::size_t strips = (c_.cols + simd::lanes - 1) / simd::lanes;
  const std::size_t numbers = strip_numbers(c_.rows);
  // in the memory of the eigenvectors' float64 form, which has been narrowed
  const std::span<double> memory = bases_.z.size() >= numbers ? bases_.z.elements() : carver_.numbers(numbers);
  const std::size_t blocks = std::min({strips, Split::most_row_blocks, memory.size() / numbers});
  std::array<SolutionProducts, Split::most_row_blocks> partial{};
  parallel_for(blocks, [&](std::size_t block) {
    SolutionProducts sums{.vx = 0, .xfx = 0, .xx = 0};
    for (std::size_t strip = strips * block / blocks; strip < strips * (block + 1) / blocks; ++strip)
      solve_strip(strip * simd::lanes, memory.data() + (block * numbers), sums);
    partial[block] = sums;
  });
  SolutionProducts products{.vx = 0, .xfx = 0, .xx = 0};
  for (std::size_t block = 0; block < blocks; ++block) {
    products.vx += partial[block].vx;
    products.xfx += partial[block].xfx;
    products.xx += partial[block].xx;
  }
  if (assembly_ == Assembly::difference) products.vx = (problem_.v_norm2() - products.vx) / damping_;
  if (assembly_ != Assembly::covariances) products.xx = (products.vx - products.xfx) / damping_;
  return products;
}

// (μ_j T + λI) c_j = ũ_j for up to `lanes` columns of c
void MixedSolution::solve_strip(std::size_t first, double* memory, SolutionProducts& sums) const {
  const std::size_t t = c_.rows;
  const std::size_t count = std::min(simd::lanes, c_.cols - first);
  double* const y = memory;
  double* const pivots = y + (t * simd::lanes);
  double* const mu = pivots + (t * simd::lanes);
  for (std::size_t j = 0; j < simd::lanes; ++j) mu[j] = j < count ? bases_.values[first + j] : 0;
  for (std::size_t i = 0; i < t; ++i) {
    for (std::size_t j = 0; j < simd::lanes; ++j)
      y[(i * simd::lanes) + j] = j < count ? kappa_ * static_cast<double>(c_(i, first + j)) : 0;
  }
  simd::solve_tridiagonal(t, bases_.diagonal.data(), bases_.off_diagonal.data(), damping_, mu, y, pivots);
  for (std::size_t i = 0; i < t; ++i) {
    for (std::size_t j = 0; j < count; ++j) {
      const double right = kappa_ * static_cast<double>(c_(i, first + j));
      c_(i, first + j) = element_of(right, y[(i * simd::lanes) + j], mu[j], sums);
    }
  }
}

// The element of C for a solved one, and its share of the sums: of ⟨v, x⟩ and xᵀFx, or for a difference of what is
// taken from ‖v‖². A covariance's μ multiplies what P being I left out.
float MixedSolution::element_of(double right, double solved, double mu, SolutionProducts& sums) const {
  if (assembly_ == Assembly::own) {
    const double rest = right - (damping_ * solved);  // P_gᵀ x P_a
    sums.vx += right * rest;
    sums.xfx += rest * rest;
    return static_cast<float>(solved);
  }
  if (assembly_ == Assembly::covariances) {
    sums.vx += right * solved;
    sums.xfx += (right - (damping_ * solved)) * solved;
    sums.xx += solved * solved;
    return static_cast<float>(solved);
  }
  const double weight = covariance_ ? mu : 1;
  sums.vx += weight * right * solved;
  sums.xfx += weight * solved * solved;
  return static_cast<float>(-weight * solved / damping_);
}

// C = H_tᵀ c Z H_e, into U's place, so that all of the scratch is free for the pass
void MixedSolution::assemble(const Destination& destination) const {
  if (other_vectors_.data != nullptr) {
    std::ranges::copy(c_.elements(), product_.data);
    gemm_in_tiles(1.0F, other_vectors_.transposed(), product_, 0.0F, c_);
  }
  gemm_in_tiles(1.0F, c_, vectors_, 0.0F, product_);
  gemm_in_tiles(1.0F, product_, diagonal_reflectors_, 0.0F, c_);
  gemm_in_tiles(1.0F, reduced_reflectors_.transposed(), c_, 0.0F, u());
  const double s = assembly_ == Assembly::difference ? 1 / damping_ : 0;
  problem_.expand(s, problem_.u(), destination, problem_.scratch());
}

}  // namespace

std::size_t mixed_scratch_numbers(const FisherBlock& block) {
  const BlockForms forms = gram_forms(block);
  const auto [q, p] = ProjectedShape(block, forms);
  if (std::min(q, p) < smallest_mixed) return 0;
  const bool input = diagonalise_input(forms, q, p);
  const std::size_t e = input ? p : q;
  const std::size_t t = input ? q : p;
  const std::size_t strips = e * e >= strip_numbers(t) ? 0 : strip_numbers(t);
  const std::size_t changing =
      (3 * e) + (3 * t) + (e * e) + (((2 * q * p) + (2 * e * e) + (2 * t * t)) / 2) + 8 + strips;
  return std::max(mixed_bases_numbers(e, t), changing);
}

ExactSummary solve_mixed(const GramProblem& problem, double damping, const Destination& destination) {
  MixedSolution solution(problem, damping);
  solution.project();
  ExactSummary summary;
  summary.values.products = solution.divide();
  summary.clamped = solution.clamped();
  solution.assemble(destination);
  return summary;
}

}  // namespace cgfac
