#include "core/gram_operator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/blas.h"
#include "core/cost.h"
#include "core/parallel.h"

namespace cgfac {
namespace {

// Columns or rows that a dense product holds back at a time, for each block of a pass.
constexpr std::size_t rows_held = 16;
constexpr std::size_t most_blocks = 8;

double wide(float x) {
  return static_cast<double>(x);
}

// Sums of a pass over blocks of rows, added up in the order of the blocks.
template <std::size_t Count>
struct BlockSums {
  std::array<std::array<double, Count>, most_blocks> partial{};
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

// to[j] = e[j − 1]·x[j − 1] + d[j]·x[j] + e[j]·x[j + 1]
void tridiagonal_row(std::span<const double> d, std::span<const double> e, const double* x, double* to) {
  const std::size_t n = d.size();
  if (n == 1) {
    to[0] = d[0] * x[0];
    return;
  }
  to[0] = (d[0] * x[0]) + (e[0] * x[1]);
  for (std::size_t j = 1; j + 1 < n; ++j) to[j] = (e[j - 1] * x[j - 1]) + (d[j] * x[j]) + (e[j] * x[j + 1]);
  to[n - 1] = (e[n - 2] * x[n - 2]) + (d[n - 1] * x[n - 1]);
}

}  // namespace

GramBasis GramOperator::choose_basis(const FisherBlock& block, int iterations) {
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
  const std::size_t start = started ? ((q * p) + 1) / 2 : 0;
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
  if (started) start_u_ = carver.floats(q, p);
  if (basis == GramBasis::tridiagonal) {
    input.diagonal = tridiagonals.subspan(0, p);
    input.off_diagonal = tridiagonals.subspan(p, p);
    output.diagonal = tridiagonals.subspan(2 * p, q);
    output.off_diagonal = tridiagonals.subspan((2 * p) + q, q);
    Carver work(carver.rest());
    const std::span<double> input_work = work.numbers(blas::tridiagonal_work(p));
    const std::span<double> output_work = work.numbers(blas::tridiagonal_work(q));
    parallel_for(2, [&](std::size_t i) {
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
  const std::span<double> unused{p_.c.data, static_cast<std::size_t>(free_.data() + free_.size() - p_.c.data)};
  problem_.project(x0, start_u_, unused);
  if (basis_ == GramBasis::tridiagonal) {
    const std::span<double> all = std::exchange(free_, unused);
    into_basis(start_u_);
    free_ = all;
  }
  v_x0_ = cgfac::dot(v, x0);
  x0_x0_ = cgfac::dot(x0, x0);

  // r = F x₀ = (0, M_g U₀ M_a)
  if (covariances()) {
    for (std::size_t i = 0; i < y_.size(); ++i) y_.data[i] = wide(start_u_.data[i]);
    sandwich(output_covariance_, y_, input_covariance_, r_.c);
  } else {
    for (std::size_t i = 0; i < r_.c.size(); ++i) r_.c.data[i] = wide(start_u_.data[i]);
  }
  double c = 1;
  if (scaling == StartScaling::optimal) {
    double curvature = damping_ * x0_x0_;  // ⟨x₀, (F + λI) x₀⟩
    for (std::size_t i = 0; i < r_.c.size(); ++i) curvature += wide(start_u_.data[i]) * r_.c.data[i];
    c = curvature > 0 ? v_x0_ / curvature : 0;  // 0 only for x₀ = 0
  }
  // r = v − (F + λI) c x₀ = (1, −c F x₀) on the base v − λ c x₀
  for (double& element : r_.c.elements()) element *= -c;
  for (std::size_t i = 0; i < u_.size(); ++i) {
    u_.data[i] = static_cast<float>(wide(u_.data[i]) - (damping_ * c * wide(start_u_.data[i])));
  }
  base_norm2_ += (damping_ * c * damping_ * c * x0_x0_) - (2 * damping_ * c * v_x0_);
  start_factor_ = c;
  weigh(r_);
  return c;
}

void GramOperator::sandwich(const Matrix& left, const MatrixView<double>& x, const Matrix& right,
                            const MatrixView<double>& out) const {
  using enum Matrix::Form;
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
    double* const sum = rows_.data() + (i * held);
    for (std::size_t row = split.first(i); row < split.first(i + 1); ++row) {
      const double* from = x.data + (row * x.cols);
      double* const to = out.data + (row * x.cols);
      if (left.form == tridiagonal) {
        double* const rows = right.form == tridiagonal ? sum : to;
        const double d = left.diagonal[row];
        const double above = row == 0 ? 0 : left.off_diagonal[row - 1];
        const double below = row + 1 == x.rows ? 0 : left.off_diagonal[row];
        const double* const previous = row == 0 ? from : from - x.cols;
        const double* const next = row + 1 == x.rows ? from : from + x.cols;
        for (std::size_t j = 0; j < x.cols; ++j) rows[j] = (above * previous[j]) + (d * from[j]) + (below * next[j]);
        from = rows;
      }
      if (right.form == tridiagonal) tridiagonal_row(right.diagonal, right.off_diagonal, from, to);
    }
  });
}

void GramOperator::weigh(const Vector& x) const {
  if (x.w.data != x.c.data) sandwich(output_kernel_, x.c, input_kernel_, x.w);
}

double GramOperator::norm2(const Vector& x) const {
  const auto [u_c, c_w] = sum_over<2>(x.c, [&](std::size_t first, std::size_t last) {
    std::array<double, 2> sums{};
    for (std::size_t i = first; i < last; ++i) {
      sums[0] += wide(u_.data[i]) * x.c.data[i];
      sums[1] += x.c.data[i] * x.w.data[i];
    }
    return sums;
  });
  return (x.s * x.s * base_norm2_) + (2 * x.s * u_c) + c_w;
}

double GramOperator::direct(const Vector& r, double beta, Vector& p) const {
  p.s = beta == 0 ? r.s : r.s + (beta * p.s);
  const double s = p.s;
  const bool own_weights = p.w.data != p.c.data;
  // ⟨U, C⟩, ⟨Y, C⟩ and ⟨Y, Y⟩ with Y = sU + W
  auto [u_c, y_c, y_y] = sum_over<3>(p.c, [&](std::size_t first, std::size_t last) {
    const float* const u = u_.data;
    const double* const r_c = r.c.data;
    const double* const r_w = r.w.data;
    double* const c = p.c.data;
    double* const w = p.w.data;
    std::array<double, 3> sums{};
    if (beta == 0) {
      std::copy(r_c + first, r_c + last, c + first);
      if (own_weights) std::copy(r_w + first, r_w + last, w + first);
    } else {
      for (std::size_t i = first; i < last; ++i) c[i] = r_c[i] + (beta * c[i]);
      if (own_weights) {
        for (std::size_t i = first; i < last; ++i) w[i] = r_w[i] + (beta * w[i]);
      }
    }
    // several sums side by side, which the compiler may keep in one register each
    constexpr std::size_t lanes = 8;
    std::array<double, lanes> a{};
    std::array<double, lanes> b{};
    std::array<double, lanes> d{};
    std::size_t i = first;
    for (; i + lanes <= last; i += lanes) {
      for (std::size_t k = 0; k < lanes; ++k) {
        const double from_u = wide(u[i + k]);
        const double y = (s * from_u) + w[i + k];
        a[k] += from_u * c[i + k];
        b[k] += y * c[i + k];
        d[k] += y * y;
      }
    }
    for (; i < last; ++i) {
      const double y = (s * wide(u[i])) + w[i];
      a[0] += wide(u[i]) * c[i];
      b[0] += y * c[i];
      d[0] += y * y;
    }
    for (std::size_t k = 0; k < lanes; ++k) {
      sums[0] += a[k];
      sums[1] += b[k];
      sums[2] += d[k];
    }
    return sums;
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
  const double damped = alpha * damping_;
  const double from_u = alpha * p.s;
  (void)sum_over<1>(r.c, [&](std::size_t first, std::size_t last) {
    double* const c = r.c.data;
    const double* const p_c = p.c.data;
    if (covariance) {
      for (std::size_t i = first; i < last; ++i) c[i] -= (damped * p_c[i]) + (alpha * image_.data[i]);
    } else {
      const double* const w = p.w.data;
      for (std::size_t i = first; i < last; ++i)
        c[i] -= (damped * p_c[i]) + (from_u * wide(u_.data[i])) + (alpha * w[i]);
    }
    return std::array<double, 1>{};
  });
  weigh(r);
  return norm2(r);
}

void GramOperator::axpy(double alpha, const Vector& x, Vector& y) const {
  y.s += alpha * x.s;
  (void)sum_over<1>(y.c, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) y.c.data[i] += alpha * x.c.data[i];
    return std::array<double, 1>{};
  });
}

SolutionProducts GramOperator::products() {
  GramVector x = x_;
  x.w = r_.w.data == r_.c.data ? x_.c : r_.w;
  weigh(x);
  const double c = start_factor_;
  const bool started = c != 0;
  double u_c = 0;        // ⟨U, C⟩ of the base
  double start_u_c = 0;  // ⟨U₀, C⟩
  double squared = 0;    // ‖Y‖², Y = P_gᵀ x P_a = c U₀ + s U + W
  const bool covariance = covariances();
  for (std::size_t i = 0; i < x.c.size(); ++i) {
    u_c += wide(u_.data[i]) * x.c.data[i];
    double y = (x.s * wide(u_.data[i])) + x.w.data[i];
    if (started) {
      start_u_c += wide(start_u_.data[i]) * x.c.data[i];
      y += c * wide(start_u_.data[i]);
    }
    if (covariance) y_.data[i] = y;
    squared += y * y;
  }
  if (covariance) {
    sandwich(output_covariance_, y_, input_covariance_, image_);
    squared = blas::dot(y_.elements(), image_.elements());
  }
  const double v_b = problem_.v_norm2() - (damping_ * c * v_x0_);  // ⟨v, b⟩
  const double x0_b = v_x0_ - (damping_ * c * x0_x0_);             // ⟨x₀, b⟩
  const double v_c = u_c + (damping_ * c * start_u_c);             // ⟨v, P_g C P_aᵀ⟩
  const double x0_y = (x.s * x0_b) + start_u_c;                    // ⟨x₀, s·b + P_g C P_aᵀ⟩
  return {.vx = (c * v_x0_) + (x.s * v_b) + v_c, .xfx = squared, .xx = (c * c * x0_x0_) + (2 * c * x0_y) + norm2(x)};
}

}  // namespace cgfac
