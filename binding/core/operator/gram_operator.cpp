#include "core/operator/gram_operator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/base/arena.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/simd.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

void add(simd::PairSums& to, const simd::PairSums& from) {
  to.u_c += from.u_c;
  to.c_w += from.c_w;
}
void add(simd::DirectSums& to, const simd::DirectSums& from) {
  to.u_c += from.u_c;
  to.y_c += from.y_c;
  to.y_y += from.y_y;
}

// Sums of a pass over blocks of rows of a matrix, body(block, first row, last row), added up in the order of the
// blocks.
template <typename Sums, typename Body>
Sums sum_over(const MatrixView<double>& shape, const Body& body) {
  const Split split = Split::rows(shape.rows, shape.cols);
  std::array<Sums, Split::most_row_blocks> partial{};
  parallel_for(split.blocks(), [&](std::size_t i) { partial[i] = body(i, split.first(i), split.first(i + 1)); });
  Sums total;
  for (std::size_t i = 0; i < split.blocks(); ++i) add(total, partial[i]);
  return total;
}

// Both bases and a product in float32, for a change of basis.
std::size_t changing_numbers(std::size_t q, std::size_t p) {
  return (((q * q) + (p * p) + (q * p)) / 2) + 3;
}

}  // namespace

std::size_t GramOperator::scratch_numbers(const FisherBlock& block, bool started) {
  const BlockForms forms = gram_forms(block);
  const auto [q, p] = ProjectedShape(block, forms);
  const std::size_t pair = q * p;
  const std::size_t single = (pair + 1) / 2;
  const std::size_t vectors = (forms.covariances() ? 3 : 5) + (forms.panels() ? 0 : 2);
  const std::size_t changing = changing_numbers(q, p);
  // at the beginning the reflectors' scratch, then a change of U; at the end, behind x, one of C; at a start, behind x
  // and r, one of U₀, which has its own place where a side has a covariance
  const std::size_t beginning = std::max(blas::tridiagonal_work(q) + blas::tridiagonal_work(p), changing);
  const std::size_t ending = pair + single + changing;
  const std::size_t starting = started ? (2 * pair) + (forms.panels() ? single : 0) + changing : 0;
  const std::size_t start_u = started && !forms.panels() ? single : 0;
  const std::size_t pass = 8 * std::max(q, p);  // the least that a pass over v needs, 16 columns in float32
  return (2 * (q + p)) + sandwich_numbers(q, p) + start_u + pass +
         std::max({vectors * pair, beginning, ending, starting});
}

GramOperator::GramOperator(const GramProblem& problem, double damping, GramBasis basis, bool started)
    : problem_(problem), damping_(damping), base_norm2_(problem.v_norm2()), basis_(basis), u_(problem.u()) {
  using enum SymmetricMatrix::Form;
  (problem.forms().input_panel() ? input_kernel_ : input_covariance_) = {.form = dense,
                                                                         .dense = problem.input_matrix()};
  (problem.forms().output_panel() ? output_kernel_ : output_covariance_) = {.form = dense,
                                                                            .dense = problem.output_matrix()};
  Carver carver(problem.scratch());
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  const std::span<double> tridiagonals = carver.numbers(2 * (q + p));
  rows_ = carver.numbers(sandwich_numbers(q, p));
  if (started && covariances()) start_u_ = carver.floats(q, p);
  if (basis == GramBasis::tridiagonal) tridiagonalise(tridiagonals, carver.rest());
  place_vectors(carver);
}

// K = Vᵀ T V for both sides, side by side; V takes the place of K, and U goes into the bases.
void GramOperator::tridiagonalise(std::span<double> tridiagonals, std::span<double> scratch) {
  using enum SymmetricMatrix::Form;
  const std::size_t q = problem_.rows();
  const std::size_t p = problem_.cols();
  SymmetricMatrix& input = problem_.forms().input_panel() ? input_kernel_ : input_covariance_;
  SymmetricMatrix& output = problem_.forms().output_panel() ? output_kernel_ : output_covariance_;
  input.diagonal = tridiagonals.subspan(0, p);
  input.off_diagonal = tridiagonals.subspan(p, p);
  output.diagonal = tridiagonals.subspan(2 * p, q);
  output.off_diagonal = tridiagonals.subspan((2 * p) + q, q);
  Carver carver(scratch);
  const std::span<double> input_work = carver.numbers(blas::tridiagonal_work(p));
  const std::span<double> output_work = carver.numbers(blas::tridiagonal_work(q));
  parallel_for(2, 10 * static_cast<double>((p * p * p) + (q * q * q)), [&](std::size_t i) {
    if ((i == 0) == (p >= q)) {
      blas::tridiagonalise(input.dense, input.diagonal, input.off_diagonal, input_work);
    } else {
      blas::tridiagonalise(output.dense, output.diagonal, output.off_diagonal, output_work);
    }
  });
  input.form = output.form = tridiagonal;
  into_basis(u_, scratch);
}

// x first, so that all behind it is free at the end.
void GramOperator::place_vectors(Carver& carver) {
  const std::size_t q = problem_.rows();
  const std::size_t p = problem_.cols();
  x_.c = carver.doubles(q, p);
  free_ = carver.rest();
  r_.c = carver.doubles(q, p);
  p_.c = carver.doubles(q, p);
  const bool own_weights = !problem_.forms().covariances();  // with K = I on both sides W is C
  r_.w = own_weights ? carver.doubles(q, p) : r_.c;
  p_.w = own_weights ? carver.doubles(q, p) : p_.c;
  if (covariances()) {
    image_ = carver.doubles(q, p);
    y_ = carver.doubles(q, p);
  }
  r_.s = 1;
  for (const MatrixView<double>& matrix : {x_.c, r_.c, r_.w}) std::ranges::fill(matrix.elements(), 0.0);
}

// s²⟨b, b⟩ + 2s⟨U, C⟩ + ⟨C, W⟩
double GramOperator::norm2(const Vector& x) const {
  const auto sums = sum_over<simd::PairSums>(x.c, [&](std::size_t, std::size_t first_row, std::size_t last_row) {
    const std::size_t first = first_row * x.c.cols;
    return simd::pair_sums((last_row - first_row) * x.c.cols, u_.data + first, x.c.data + first, x.w.data + first);
  });
  return (x.s * x.s * base_norm2_) + (2 * x.s * sums.u_c) + sums.c_w;
}

double GramOperator::weigh(const Vector& x) const {
  if (basis_ == GramBasis::plain || x.w.data == x.c.data) {
    if (x.w.data != x.c.data) sandwich(output_kernel_, x.c, input_kernel_, x.w, rows_);
    return norm2(x);
  }
  const auto sums = sum_over<simd::PairSums>(x.c, [&](std::size_t block, std::size_t first, std::size_t last) {
    simd::PairSums partial;
    for (std::size_t row = first; row < last; ++row) {  // each row while it is at hand
      sandwich_rows(output_kernel_, x.c, input_kernel_, x.w, row, row + 1, block, rows_);
      const std::size_t at = row * x.c.cols;
      add(partial, simd::pair_sums(x.c.cols, u_.data + at, x.c.data + at, x.w.data + at));
    }
    return partial;
  });
  return (x.s * x.s * base_norm2_) + (2 * x.s * sums.u_c) + sums.c_w;
}

// λs²⟨b, b⟩ + λs⟨U, C⟩ + λ⟨Y, C⟩ + ⟨Y, M_g Y M_a⟩, Y = sU + W
double GramOperator::advance_direction(const Vector& r, double beta, Vector& p) {
  const double step = std::exchange(step_, 0);
  x_.s += step * p.s;
  p.s = beta == 0 ? r.s : r.s + (beta * p.s);
  const double s = p.s;
  const auto sums = sum_over<simd::DirectSums>(p.c, [&](std::size_t, std::size_t first_row, std::size_t last_row) {
    const std::size_t first = first_row * p.c.cols;
    return simd::direct((last_row - first_row) * p.c.cols, step, beta, s, r.c.data + first, r.w.data + first,
                        u_.data + first, p.c.data + first, p.w.data + first, x_.c.data + first);
  });
  double y_y = sums.y_y;
  if (covariances()) {
    for (std::size_t i = 0; i < y_.size(); ++i) y_.data[i] = (s * static_cast<double>(u_.data[i])) + p.w.data[i];
    sandwich(output_covariance_, y_, input_covariance_, image_, rows_);
    y_y = blas::dot(y_.elements(), image_.elements());
  }
  return (damping_ * s * s * base_norm2_) + (damping_ * s * sums.u_c) + (damping_ * sums.y_c) + y_y;
}

// q = (λs, M_g Y M_a + λC): with panels on both sides Y = sU + W is taken from p again.
double GramOperator::update_residual(double alpha, const Vector& p, Vector& r) const {
  r.s -= alpha * damping_ * p.s;
  const double* const image = covariances() ? image_.data : p.w.data;
  const double from_u = covariances() ? 0 : alpha * p.s;
  const Split split = Split::rows(r.c.rows, r.c.cols);
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i) * r.c.cols;
    simd::reduce(split.count(i) * r.c.cols, alpha * damping_, from_u, alpha, p.c.data + first, u_.data + first,
                 image + first, r.c.data + first);
  });
  return weigh(r);
}

void GramOperator::advance_solution(double alpha, const Vector& /*p*/, Vector& /*x*/) {
  finish();
  step_ = alpha;
}

double GramOperator::extent() const {
  const double s = x_.s + (step_ * p_.s);
  return (std::abs(s) * std::sqrt(std::max(base_norm2_, 0.0))) + (std::abs(start_factor_) * std::sqrt(x0_x0_));
}

double GramOperator::norm_noise() const {
  constexpr double root_of_rounding = 0x1p-12;
  return root_of_rounding * std::abs(r_.s) * std::sqrt(std::max(base_norm2_, 0.0));
}

void GramOperator::finish() {
  const double step = std::exchange(step_, 0);
  if (step == 0) return;
  x_.s += step * p_.s;
  simd::axpy(x_.c.size(), step, p_.c.data, x_.c.data);
}

}  // namespace cgfac
