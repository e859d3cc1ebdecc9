// The direction of a step before its length is known, and what becomes of it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/powers.h"
#include "core/block/weight_vector.h"
#include "core/layer/layer.h"
#include "core/linalg/blas.h"
#include "core/linalg/symmetric.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// gram ← [a 1] zᵀ, lower triangle; z's homogeneous coordinate is its last column
void cross_gram(MatrixView<const float> rows, bool homogeneous, MatrixView<const float> z, MatrixView<float> gram) {
  const std::size_t d = rows.cols;
  const std::size_t count = gram.rows;
  const double flops = product_flops(count, count, d) / 2;
  const std::size_t pieces = flops > 1.6e7 && count >= 64 ? 4 : 1;
  parallel_for(pieces, [&](std::size_t i) {
    const std::size_t piece = pieces - 1 - i;  // the longest first
    const std::size_t first = count * piece / pieces;
    const std::size_t end = count * (piece + 1) / pieces;
    const MatrixView<float> part = gram.rows_from(first, end - first).columns(0, end);
    blas::gemm(1.0F, rows.rows_from(first, end - first), z.rows_from(0, end).columns(0, d).transposed(), 0.0F, part);
    for (std::size_t row = 0; homogeneous && row < part.rows; ++row) {
      for (std::size_t j = 0; j < end; ++j) part(row, j) += z(j, d);
    }
  });
}

// Exponents of a vector of norm 1 on its way: as it is, times the input side's inverse, and times both.
struct Way {
  int smallest;  // of them, along the largest eigenvalues
  int largest;   // of them, along the smallest
};

// A side's inverse has eigenvalues from 1/(tr + γ) to 1/γ; a side of 1 has no damping.
Way way_through(const FactoredDamping& gamma, const BlockTraces& traces) {
  const auto inverse = [](double eigenvalue) { return eigenvalue == 0 ? 0 : -std::ilogb(eigenvalue); };
  const auto row = [](double trace) { return trace > 0 ? std::ilogb(trace) / 2 : 0; };  // of a product with rows
  const int most_input = inverse(gamma.input);
  const int most = most_input + inverse(gamma.output);
  const int least_input = gamma.input == 0 ? 0 : inverse(traces.input + gamma.input);
  const int least = least_input + (gamma.output == 0 ? 0 : inverse(traces.output + gamma.output));
  return {.smallest = std::min({0, row(traces.input), least_input, least_input + row(traces.output), least}),
          .largest = std::max({0, row(traces.input), most_input, most_input + row(traces.output), most})};
}

// What is no smaller than the one anywhere on its way loses nothing at the lower end of float32, and what is no larger
// than the other nothing at the upper one.
constexpr int large_enough = -50;
constexpr int small_enough = 100;
constexpr int size_step = 8;
// A squared norm below which float32 has lost a share of a vector.
constexpr double lost = 0x1p-220;

// Whether what float32 made is far enough from the ends of its range, on the way, too.
bool at_ease(const FactoredDamping& gamma, double product) {
  const auto fits = [](double damping) { return damping == 0 || comfortable(damping); };
  return product >= 0x1p-100 && product <= 0x1p100 && fits(gamma.input) && fits(gamma.output);
}

constexpr std::string_view recorded_names = "inputs, outputGrads and lossGrads";

}  // namespace

LayerStep Layer::prepare(const Given& v, const PrepareOptions& options) {
  if (!v && rows_->empty()) throw expected(ErrorCode::no_record, "a batch from record()", "the step", "none");
  if (!started()) throw expected(ErrorCode::no_record, "factors", "the step", "none");
  LayerStep step;
  step.input_rows = input_.rows_taken();
  step.output_rows = output_.rows_taken();
  step.summary.method = options_.method == Method::automatic ? Method::exact : options_.method;
  solution_ = Solution::none;
  direction_ = Direction::none;
  bound_ = 0;
  step.curved = curved();
  if (!step.curved) {
    direction_ = Direction::zero;
    return step;
  }
  if (own_inverses()) {
    prepare_factored(v, step);
  } else {
    prepare_solved(v, options, step);
  }
  if (!(std::isfinite(step.vx) && bound_ <= largest_norm)) {
    solution_ = Solution::none;
    direction_ = Direction::none;
    bound_ = 0;
    if (v) cgfac::require_finite("gradients", *v);
    rows_->require_finite();
    throw expected(ErrorCode::not_finite, "products within the range of float32", recorded_names, "an overflow");
  }
  step.bound = bound_;
  describe(step);
  return step;
}

// Not where a factor is zero, or so small that damping relative to it is. Any other damping that float32 does not have
// is an error.
bool Layer::curved() const {
  const FactorMoments input = input_.moments();
  const FactorMoments output = output_.moments();
  if (!(input.trace > 0 && output.trace > 0)) return false;
  const auto vanishes = [this](double damping) {
    return options_.damping.relative && damping < static_cast<double>(std::numeric_limits<float>::min());
  };
  if (factored()) {
    const FactoredDamping gamma = factored_damping(input, output, options_.damping);
    if ((!input.exact && vanishes(gamma.input)) || (!output.exact && vanishes(gamma.output))) return false;
    require_usable(input, output, gamma);
    return true;
  }
  const double lambda = tikhonov_damping(input, output, options_.damping);
  if (vanishes(lambda)) return false;
  require_damping(lambda);
  return true;
}

void Layer::damp(const FactoredDamping& gamma) {
  const auto cost = [](const Factor& factor) {
    const Side side = factor.side();
    const auto n = static_cast<double>(side.given() ? side.dimension() : std::min(side.count(), side.dimension()));
    return n * n * (n + static_cast<double>(side.dimension()));
  };
  const double input = cost(input_);
  const double output = cost(output_);
  parallel_for(2, input + output, [&](std::size_t i) {
    if ((i == 0) == (input >= output)) {
      input_inverse_.damp(input_, gamma.input, gamma.relative);
    } else {
      output_inverse_.damp(output_, gamma.output, gamma.relative);
    }
  });
}

void Layer::apply_inverses(const WeightView<float>& x) {
  kind_of(shape_).apply_inverses(shape_, input_inverse_, output_inverse_, x);
}

// m·c_A + n·c_G for v formed, N·(c_A + c_G) and two products of rows, N × N, otherwise
bool Layer::forms_gradient() const {
  const auto m = static_cast<double>(output_.dimension());
  const auto n = static_cast<double>(input_.dimension());
  const auto rows = static_cast<double>(rows_->input_rows());
  const double input = input_inverse_.view().flops_per_row();
  const double output = output_inverse_.view().flops_per_row();
  return (m * input) + (n * output) < (rows * (input + output)) + (rows * rows * (m + n));
}

void Layer::prepare_factored(const Given& v, LayerStep& step) {
  const FactoredDamping gamma = factored_damping(input_.moments(), output_.moments(), options_.damping);
  step.summary.factored = gamma;
  damp(gamma);
  if (!v && kind_of(shape_).by_rows() && !forms_gradient() && prepare_rows(gamma, step)) {
    direction_ = Direction::rows;
  } else {
    prepare_formed(v, gamma, step);
    direction_ = Direction::formed;
  }
  step.by_rows = direction_ == Direction::rows;
  step.summary.formed = !step.by_rows;
}

// z ← [a 1] (A + γ_A I)⁻¹ and gram ← [a 1] zᵀ
void Layer::multiply_inputs(MatrixView<float> z, MatrixView<float> gram) {
  if (fresh_ && input_inverse_.has_own(z.rows)) {
    input_inverse_.apply_own(z, gram);
    return;
  }
  const MatrixView<const float> inputs = rows_->inputs();
  for (std::size_t i = 0; i < z.rows; ++i) {
    float* const row = z.data + (i * z.cols);
    std::copy_n(inputs.data + (i * inputs.cols), inputs.cols, row);
    if (shape_.bias) row[inputs.cols] = 1;
  }
  const MatrixView<float> last = shape_.bias ? z.columns(inputs.cols, 1) : MatrixView<float>();
  input_inverse_.apply({.body = z.columns(0, inputs.cols), .last = last});
  cross_gram(inputs, shape_.bias, z, gram);
}

// z ← g_v (G + γ_G I)⁻¹ and gram ← g_v zᵀ
void Layer::multiply_outputs(MatrixView<float> z, MatrixView<float> gram) {
  if (fresh_ && rows_->empirical() && output_inverse_.has_own(z.rows)) {
    output_inverse_.apply_own(z, gram);
    return;
  }
  const MatrixView<const float> loss_grads = rows_->gradient().loss_grads;
  std::ranges::copy(loss_grads.elements(), z.data);
  output_inverse_.apply({.body = z});
  cross_gram(loss_grads, false, z, gram);
}

// x = scale·Z_gᵀ Z_a, ⟨v, x⟩ = scale²·⟨[a 1] Z_aᵀ, g_v Z_gᵀ⟩, ‖Z‖² ≤ tr(z Zᵀ)/γ; whether no number of these left the
// range of float32, and ⟨v, x⟩ is no rounding of what it is the sum of: N products of the means of both diagonals,
// where samples are independent of each other
bool Layer::prepare_rows(const FactoredDamping& gamma, LayerStep& step) {
  const std::size_t count = rows_->input_rows();
  const MatrixView<float> z_input = z_input_.matrix(count, input_.dimension());
  const MatrixView<float> z_output = z_output_.matrix(count, output_.dimension());
  const std::span<float> memory = grams_.span(2 * count * count);
  const MatrixView<float> input_gram(memory.data(), count, count);
  const MatrixView<float> output_gram(memory.data() + input_gram.size(), count, count);
  multiply_inputs(z_input, input_gram);
  multiply_outputs(z_output, output_gram);
  const double gamma_input = input_inverse_.gamma();
  const double gamma_output = output_inverse_.gamma();
  const double scale = rows_->gradient().scale;
  direction_rows_ = count;
  direction_scale_ = scale;
  step.vx = scale * scale * dot_of_lower(input_gram, output_gram);
  const double input_trace = trace(input_gram);
  const double output_trace = trace(output_gram);
  bound_ = scale * std::sqrt(input_trace / gamma_input) * std::sqrt(output_trace / gamma_output);
  constexpr double cancelled = 0x1p-13;
  const double independent = scale * scale * input_trace * output_trace / static_cast<double>(count);
  return at_ease(gamma, input_trace) && at_ease(gamma, output_trace) && step.vx >= cancelled * independent;
}

void Layer::prepare_formed(const Given& v, const FactoredDamping& gamma, LayerStep& step) {
  const FisherBlock shape = shape_block(shape_);
  const WeightView<float> x = shape.view(x_.span(shape_.size()));
  WeightView<const float> gradient;
  if (v) {
    gradient = *v;
  } else {
    const WeightView<float> own = shape.view(v_.span(shape_.size()));
    rows_->form_gradient(own);
    gradient = own;
  }
  copy(gradient, x);
  apply_inverses(x);
  step.vx = dot(gradient, x);
  const double norm2 = dot(x, x);
  bound_ = std::sqrt(norm2);
  if (at_ease(gamma, norm2)) return;
  const double v_norm2 = dot(gradient, gradient);
  if (v_norm2 == 0 || !std::isfinite(v_norm2)) return;
  step.vx = apply_scaled(gradient, v_norm2, gamma, x, {.out = x});
  bound_ = std::sqrt(dot(x, x));
}

double Layer::apply_scaled(const WeightView<const float>& v, double v_norm2, const FactoredDamping& gamma,
                           const WeightView<float>& memory, const Destination& destination) {
  const Way way = way_through(gamma, {.input = input_.moments().kept_trace, .output = output_.moments().kept_trace});
  const WeightView<float> scaled = shape_block(shape_).view(v_.span(shape_.size()));
  // large enough for the smallest that may become of it; where that is too much for what does, smaller again
  const int safe = small_enough - way.largest;
  int size = std::min(large_enough - way.smallest, small_enough);
  copy_scaled(v, size - root_exponent(v_norm2), scaled);  // which may be v itself
  for (;;) {
    copy(scaled, memory);
    apply_inverses(memory);
    if (size <= safe || std::isfinite(dot(memory, memory))) break;
    const int smaller = std::max(size - size_step, safe);
    copy_scaled(scaled, smaller - size, scaled);
    size = smaller;
  }
  const double norm2 = dot(memory, memory);
  if (norm2 < lost) throw expected(ErrorCode::not_finite, a_solution, "inputs, outputGrads and v", "an underflow");
  const int exponent = root_exponent(v_norm2) - size;
  const double vx = std::ldexp(dot(scaled, memory), 2 * exponent);
  write_scaled(memory, exponent, destination);
  return vx;
}

}  // namespace cgfac
