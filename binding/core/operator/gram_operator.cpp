#include "core/operator/gram_operator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/simd.h"
#include "core/solver/cost.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Columns or rows that a dense product holds back at a time, for each block of a pass.
constexpr std::size_t rows_held = 8;
double wide(float x) {
  return static_cast<double>(x);
}

// Where a call into BLAS costs more than the product, and the first of two products fits into the rows held.
bool is_small(std::size_t rows, std::size_t cols) {
  return std::min(rows, cols) <= rows_held && std::max(rows, cols) <= 2 * rows_held;
}

// out ← X Y, row-major
void multiply_small(const MatrixView<double>& x, const MatrixView<double>& y, double* out) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    double* const row = out + (i * y.cols);
    std::fill_n(row, y.cols, 0.0);
    for (std::size_t k = 0; k < x.cols; ++k) {
      const double factor = x.data[(i * x.cols) + k];
      for (std::size_t j = 0; j < y.cols; ++j) row[j] += factor * y.data[(k * y.cols) + j];
    }
  }
}

// Sums of a pass over blocks of rows, added up in the order of the blocks.
template <std::size_t Count>
struct BlockSums {
  std::array<std::array<double, Count>, Split::most_row_blocks> partial{};
  [[nodiscard]] std::array<double, Count> total(const Split& split) const {
    std::array<double, Count> result{};
    for (std::size_t i = 0; i < split.blocks(); ++i) {
      for (std::size_t k = 0; k < Count; ++k) result[k] += partial[i][k];
    }
    return result;
  }
};

// body(first, last) for each block of the elements of a rows × cols matrix; returns the sums that the bodies give
template <std::size_t Count, typename Body>
std::array<double, Count> sum_over(const MatrixView<double>& shape, const Body& body) {
  const Split split = Split::rows(shape.rows, shape.cols);
  BlockSums<Count> sums;
  parallel_for(split.blocks(), [&](std::size_t i) {
    sums.partial[i] = body(split.first(i) * shape.cols, split.first(i + 1) * shape.cols);
  });
  return sums.total(split);
}

}  // namespace

GramBasis GramOperator::choose_basis(const FisherBlock& block, int iterations) {
  const BlockForms forms = gram_forms(block);
  if (is_small(projected_size(block.output, forms.output), projected_size(block.input, forms.input)))
    return GramBasis::plain;
  return cost::plain_iterations(block, iterations) <= cost::tridiagonal_iterations(block, iterations)
             ? GramBasis::plain
             : GramBasis::tridiagonal;
}

std::size_t GramOperator::scratch_numbers(const FisherBlock& block, bool started) {
  const BlockForms forms = gram_forms(block);
  const std::size_t q = projected_size(block.output, forms.output);
  const std::size_t p = projected_size(block.input, forms.input);
  const bool covariances = forms.output == FactorForm::covariance || forms.input == FactorForm::covariance;
  const bool both = forms.output == FactorForm::covariance && forms.input == FactorForm::covariance;
  const std::size_t vectors = (both ? 3 : 5) + (covariances ? 2 : 0);
  const std::size_t held = Split::rows(q, p).blocks() * rows_held * std::max(q, p);
  const std::size_t tridiagonals = 2 * (q + p);
  // changing the basis: reflectors' scratch, then both bases and a product in float32
  const std::size_t changing =
      std::max(blas::tridiagonal_work(q) + blas::tridiagonal_work(p), (((q * q) + (p * p) + (2 * q * p)) / 2) + 4);
  const std::size_t pass = 8 * std::max(q, p);  // the least that a pass over v needs, 16 columns in float32
  const std::size_t start = started && covariances ? ((q * p) + 1) / 2 : 0;
  return tridiagonals + held + start + pass + std::max(vectors * q * p, changing);
}

GramOperator::GramOperator(const GramProblem& problem, double damping, GramBasis basis, bool started)
    : problem_(problem), damping_(damping), base_norm2_(problem.v_norm2()), basis_(basis), u_(problem.u()) {
  const std::size_t q = problem.rows();
  const std::size_t p = problem.cols();
  using enum Matrix::Form;
  Matrix& input = problem.input_panel() ? input_kernel_ : input_covariance_;
  Matrix& output = problem.output_panel() ? output_kernel_ : output_covariance_;
  input = {.form = dense, .dense = problem.input_matrix(), .diagonal = {}, .off_diagonal = {}};
  output = {.form = dense, .dense = problem.output_matrix(), .diagonal = {}, .off_diagonal = {}};

  Carver carver(problem.scratch());
  const std::span<double> tridiagonals = carver.numbers(2 * (q + p));
  rows_ = carver.numbers(Split::rows(q, p).blocks() * rows_held * std::max(q, p));
  if (started && covariances()) start_u_ = carver.floats(q, p);
  if (basis == GramBasis::tridiagonal) {
    input.diagonal = tridiagonals.subspan(0, p);
    input.off_diagonal = tridiagonals.subspan(p, p);
    output.diagonal = tridiagonals.subspan(2 * p, q);
    output.off_diagonal = tridiagonals.subspan((2 * p) + q, q);
    Carver work(carver.rest());
    const std::span<double> input_work = work.numbers(blas::tridiagonal_work(p));
    const std::span<double> output_work = work.numbers(blas::tridiagonal_work(q));
    parallel_for(2, 10 * static_cast<double>((p * p * p) + (q * q * q)), [&](std::size_t i) {
      if ((i == 0) == (p >= q)) {
        blas::tridiagonalise(input.dense, tridiagonals.subspan(0, p), tridiagonals.subspan(p, p), input_work);
      } else {
        blas::tridiagonalise(output.dense, tridiagonals.subspan(2 * p, q), tridiagonals.subspan((2 * p) + q, q),
                             output_work);
      }
    });
    input.form = output.form = tridiagonal;
    free_ = carver.rest();
    into_basis(u_);
  }
  x_.c = carver.doubles(q, p);
  free_ = carver.rest();
  r_.c = carver.doubles(q, p);
  p_.c = carver.doubles(q, p);
  const bool both = !problem.input_panel() && !problem.output_panel();
  r_.w = both ? r_.c : carver.doubles(q, p);
  p_.w = both ? p_.c : carver.doubles(q, p);
  if (covariances()) {
    image_ = carver.doubles(q, p);
    y_ = carver.doubles(q, p);
  }
  r_.s = 1;
  for (const MatrixView<double>& matrix : {x_.c, r_.c, r_.w}) std::ranges::fill(matrix.elements(), 0.0);
}

bool GramOperator::covariances() const {
  return !(problem_.input_panel() && problem_.output_panel());
}

// u ← V_g u V_aᵀ
void GramOperator::into_basis(MatrixView<float> u) const {
  Carver carver(free_);
  const MatrixView<float> input = carver.floats(u.cols, u.cols);
  const MatrixView<float> output = carver.floats(u.rows, u.rows);
  const MatrixView<float> product = carver.floats(u.rows, u.cols);
  narrow(problem_.input_matrix(), input);
  narrow(problem_.output_matrix(), output);
  gemm_in_tiles(1.0F, u, input.transposed(), 0.0F, product);
  gemm_in_tiles(1.0F, output, product, 0.0F, u);
}

MatrixView<float> GramOperator::solution() {
  settle();
  Carver carver(free_);
  const std::size_t q = problem_.rows();
  const std::size_t p = problem_.cols();
  const MatrixView<float> c = carver.floats(q, p);
  narrow(x_.c, c);
  if (basis_ == GramBasis::tridiagonal) {  // V_gᵀ C V_a
    Carver bases(carver.rest());
    const MatrixView<float> input = bases.floats(p, p);
    const MatrixView<float> output = bases.floats(q, q);
    const MatrixView<float> product = bases.floats(q, p);
    narrow(problem_.input_matrix(), input);
    narrow(problem_.output_matrix(), output);
    gemm_in_tiles(1.0F, c, input, 0.0F, product);
    gemm_in_tiles(1.0F, output.transposed(), product, 0.0F, c);
  }
  free_ = carver.rest();
  return c;
}

double GramOperator::start(const WeightView<const float>& v, const WeightView<const float>& x0, StartScaling scaling) {
  // the direction's memory, and what is behind it, is not in use yet
  Carver memory({p_.c.data, static_cast<std::size_t>(free_.data() + free_.size() - p_.c.data)});
  // with panels on both sides U₀ shows again in the residual; else it is kept for the end
  const MatrixView<float> start_u = start_u_.data != nullptr ? start_u_ : memory.floats(u_.rows, u_.cols);
  const std::span<double> unused = memory.rest();
  x0_x0_ = problem_.project(x0, start_u, unused);
  if (basis_ == GramBasis::tridiagonal) {
    const std::span<double> all = std::exchange(free_, unused);
    into_basis(start_u);
    free_ = all;
  }
  v_x0_ = cgfac::dot(v, x0);

  // r = F x₀ = (0, M_g U₀ M_a)
  if (covariances()) {
    for (std::size_t i = 0; i < y_.size(); ++i) y_.data[i] = wide(start_u.data[i]);
    sandwich(output_covariance_, y_, input_covariance_, r_.c);
  } else {
    for (std::size_t i = 0; i < r_.c.size(); ++i) r_.c.data[i] = wide(start_u.data[i]);
  }
  double c = 1;
  if (scaling == StartScaling::optimal) {
    double curvature = damping_ * x0_x0_;  // ⟨x₀, (F + λI) x₀⟩
    for (std::size_t i = 0; i < r_.c.size(); ++i) curvature += wide(start_u.data[i]) * r_.c.data[i];
    c = curvature > 0 ? v_x0_ / curvature : 0;  // 0 only for x₀ = 0
  }
  // r = v − (F + λI) c x₀ = (1, −c F x₀) on the base v − λ c x₀
  for (double& element : r_.c.elements()) element *= -c;
  for (std::size_t i = 0; i < u_.size(); ++i) {
    u_.data[i] = static_cast<float>(wide(u_.data[i]) - (damping_ * c * wide(start_u.data[i])));
  }
  base_norm2_ += (damping_ * c * damping_ * c * x0_x0_) - (2 * damping_ * c * v_x0_);
  start_factor_ = c;
  (void)weigh(r_);
  return c;
}

void GramOperator::sandwich(const Matrix& left, const MatrixView<double>& x, const Matrix& right,
                            const MatrixView<double>& out) const {
  using enum Matrix::Form;
  if (is_small(x.rows, x.cols) && (left.form == dense || right.form == dense)) {
    if (left.form == identity) {
      multiply_small(x, right.dense, out.data);
    } else if (right.form == identity) {
      multiply_small(left.dense, x, out.data);
    } else {
      multiply_small(x, right.dense, rows_.data());
      multiply_small(left.dense, {rows_.data(), x.rows, x.cols}, out.data);
    }
    return;
  }
  const std::size_t held = rows_held * std::max(x.rows, x.cols);
  const Split split = Split::rows(x.rows, x.cols);
  if (left.form == dense && right.form == identity) {
    parallel_for(split.blocks(), [&](std::size_t i) {
      blas::gemm(1.0, left.dense.rows_from(split.first(i), split.count(i)), x, 0.0,
                 out.rows_from(split.first(i), split.count(i)));
    });
    return;
  }
  if (right.form == dense) {
    parallel_for(split.blocks(), [&](std::size_t i) {
      blas::gemm(1.0, x.rows_from(split.first(i), split.count(i)), right.dense, 0.0,
                 out.rows_from(split.first(i), split.count(i)));
    });
    if (left.form == identity) return;
    const Split columns = Split::rows(x.cols, x.rows);
    parallel_for(columns.blocks(), [&](std::size_t i) {  // in place, a few columns at a time
      for (std::size_t done = 0; done < columns.count(i); done += rows_held) {
        const std::size_t count = std::min(rows_held, columns.count(i) - done);
        const MatrixView<double> part = out.columns(columns.first(i) + done, count);
        const MatrixView<double> copy(rows_.data() + (i * held), x.rows, count);
        for (std::size_t row = 0; row < x.rows; ++row) {
          for (std::size_t j = 0; j < count; ++j) copy(row, j) = part(row, j);
        }
        blas::gemm(1.0, left.dense, copy, 0.0, part);
      }
    });
    return;
  }
  parallel_for(split.blocks(), [&](std::size_t i) {
    sandwich_rows(left, x, right, out, split.first(i), split.first(i + 1), rows_.data() + (i * held));
  });
}

void GramOperator::sandwich_rows(const Matrix& left, const MatrixView<double>& x, const Matrix& right,
                                 const MatrixView<double>& out, std::size_t first, std::size_t last,
                                 double* row_memory) const {
  using enum Matrix::Form;
  for (std::size_t row = first; row < last; ++row) {
    const double* from = x.data + (row * x.cols);
    double* const to = out.data + (row * x.cols);
    if (left.form == tridiagonal) {
      double* const rows = right.form == tridiagonal ? row_memory : to;
      const bool top = row == 0;
      const bool bottom = row + 1 == x.rows;
      kernels::tridiagonal_left(x.cols, top ? 0 : left.off_diagonal[row - 1], left.diagonal[row],
                                bottom ? 0 : left.off_diagonal[row], top ? from : from - x.cols, from,
                                bottom ? from : from + x.cols, rows);
      from = rows;
    }
    if (right.form == tridiagonal) {
      kernels::tridiagonal_right(x.cols, right.diagonal.data(), right.off_diagonal.data(), from, to);
    }
  }
}

double GramOperator::weigh(const Vector& x) const {
  if (basis_ == GramBasis::plain || x.w.data == x.c.data) {
    if (x.w.data != x.c.data) sandwich(output_kernel_, x.c, input_kernel_, x.w);
    return norm2(x);
  }
  const Split split = Split::rows(x.c.rows, x.c.cols);
  const std::size_t held = rows_held * std::max(x.c.rows, x.c.cols);
  std::array<kernels::PairSums, Split::most_row_blocks> partial{};
  parallel_for(split.blocks(), [&](std::size_t i) {
    for (std::size_t row = split.first(i); row < split.first(i + 1); ++row) {  // each row while it is at hand
      sandwich_rows(output_kernel_, x.c, input_kernel_, x.w, row, row + 1, rows_.data() + (i * held));
      const std::size_t at = row * x.c.cols;
      const kernels::PairSums sums = kernels::pair_sums(x.c.cols, u_.data + at, x.c.data + at, x.w.data + at);
      partial[i].u_c += sums.u_c;
      partial[i].c_w += sums.c_w;
    }
  });
  kernels::PairSums sums;
  for (std::size_t i = 0; i < split.blocks(); ++i) {
    sums.u_c += partial[i].u_c;
    sums.c_w += partial[i].c_w;
  }
  return (x.s * x.s * base_norm2_) + (2 * x.s * sums.u_c) + sums.c_w;
}

double GramOperator::norm2(const Vector& x) const {
  const auto [u_c, c_w] = sum_over<2>(x.c, [&](std::size_t first, std::size_t last) {
    const kernels::PairSums sums =
        kernels::pair_sums(last - first, u_.data + first, x.c.data + first, x.w.data + first);
    return std::array<double, 2>{sums.u_c, sums.c_w};
  });
  return (x.s * x.s * base_norm2_) + (2 * x.s * u_c) + c_w;
}

double GramOperator::direct(const Vector& r, double beta, Vector& p) {
  const double step = std::exchange(step_, 0);
  x_.s += step * p.s;
  p.s = beta == 0 ? r.s : r.s + (beta * p.s);
  const double s = p.s;
  auto [u_c, y_c, y_y] = sum_over<3>(p.c, [&](std::size_t first, std::size_t last) {
    const kernels::DirectSums sums =
        kernels::direct(last - first, step, beta, s, r.c.data + first, r.w.data + first, u_.data + first,
                        p.c.data + first, p.w.data + first, x_.c.data + first);
    return std::array<double, 3>{sums.u_c, sums.y_c, sums.y_y};
  });
  if (covariances()) {  // ⟨Y, M_g Y M_a⟩
    for (std::size_t i = 0; i < y_.size(); ++i) y_.data[i] = (s * wide(u_.data[i])) + p.w.data[i];
    sandwich(output_covariance_, y_, input_covariance_, image_);
    y_y = blas::dot(y_.elements(), image_.elements());
  }
  return (damping_ * s * s * base_norm2_) + (damping_ * s * u_c) + (damping_ * y_c) + y_y;
}

double GramOperator::reduce(double alpha, const Vector& p, Vector& r) const {
  r.s -= alpha * damping_ * p.s;
  const bool covariance = covariances();
  const double* const image = covariance ? image_.data : p.w.data;
  const double from_u = covariance ? 0 : alpha * p.s;
  (void)sum_over<1>(r.c, [&](std::size_t first, std::size_t last) {
    kernels::reduce(last - first, alpha * damping_, from_u, alpha, p.c.data + first, u_.data + first, image + first,
                    r.c.data + first);
    return std::array<double, 1>{};
  });
  return weigh(r);
}

void GramOperator::axpy(double alpha, const Vector& /*x*/, Vector& /*y*/) {
  settle();
  step_ = alpha;
}

void GramOperator::settle() {
  const double step = std::exchange(step_, 0);
  if (step == 0) return;
  x_.s += step * p_.s;
  kernels::axpy(x_.c.size(), step, p_.c.data, x_.c.data);
}

SolutionProducts GramOperator::products() {
  settle();
  const double c = start_factor_;
  const bool covariance = covariances();
  GramVector x = x_;
  x.w = r_.w.data == r_.c.data ? x_.c : r_.w;
  const double norm = weigh(x);
  // Y = P_gᵀ x P_a = c U₀ + s U + W; with panels on both sides also −(C_r + λ C) of the residual
  double u_c = 0;        // ⟨U, C⟩ of the base
  double start_u_c = 0;  // c ⟨U₀, C⟩
  double squared = 0;    // ‖Y‖²
  for (std::size_t i = 0; i < x.c.size(); ++i) {
    const double own = (x.s * wide(u_.data[i])) + x.w.data[i];
    double start = 0;
    if (c != 0) start = covariance ? c * wide(start_u_.data[i]) : -(r_.c.data[i] + (damping_ * x.c.data[i])) - own;
    u_c += wide(u_.data[i]) * x.c.data[i];
    start_u_c += start * x.c.data[i];
    const double y = start + own;
    if (covariance) y_.data[i] = y;
    squared += y * y;
  }
  if (covariance) {
    sandwich(output_covariance_, y_, input_covariance_, image_);
    squared = std::max(blas::dot(y_.elements(), image_.elements()), 0.0);
  }
  const double v_b = problem_.v_norm2() - (damping_ * c * v_x0_);  // ⟨v, b⟩
  const double x0_b = c * (v_x0_ - (damping_ * c * x0_x0_));       // c ⟨x₀, b⟩
  const double v_c = u_c + (damping_ * start_u_c);                 // ⟨v, P_g C P_aᵀ⟩
  return {.vx = (c * v_x0_) + (x.s * v_b) + v_c,
          .xfx = squared,
          .xx = (c * c * x0_x0_) + (2 * ((x.s * x0_b) + start_u_c)) + norm};
}

}  // namespace cgfac
