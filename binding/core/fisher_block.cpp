#include "core/fisher_block.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/blas.h"
#include "core/error.h"

namespace cgfac {
namespace {

// A matrix of `cols` columns whose last one may lie elsewhere: a WeightView, or a half product that holds both.
template <typename T>
struct Augmented {
  MatrixView<T> body;
  MatrixView<T> last;  // rows × 1, or empty without a bias

  [[nodiscard]] bool has_last() const { return last.data != nullptr; }
};

template <typename T>
Augmented<T> augmented(const WeightView<T>& v) {
  return {v.kernel, v.bias.empty() ? MatrixView<T>() : MatrixView<T>(v.bias.data(), v.bias.size(), 1)};
}

template <typename T>
Augmented<T> augmented(const MatrixView<T>& matrix, const FactorRows& input) {
  const std::size_t in_features = input.rows.cols;
  return {matrix.columns(0, in_features), input.homogeneous ? matrix.columns(in_features, 1) : MatrixView<T>()};
}

template <typename T>
Augmented<const T> reading(const Augmented<T>& x) {
  return {x.body, x.last};
}

// out ← β out + α X Y for a Y with a last column
void multiply_left(float alpha, MatrixView<const float> x, const Augmented<const float>& y, float beta,
                   const Augmented<float>& out) {
  blas::gemm(alpha, x, y.body, beta, out.body);
  if (out.has_last()) blas::gemm(alpha, x, y.last, beta, out.last);
}

// out ← α X [a 1]ᵀ for an X with a last column: X_body aᵀ + X_last 1ᵀ
void multiply_rows_transposed(float alpha, const Augmented<const float>& x, const FactorRows& input,
                              MatrixView<float> out) {
  blas::gemm(alpha, x.body, input.rows.transposed(), 0.0F, out);
  if (!x.has_last()) return;
  for (std::size_t i = 0; i < out.rows; ++i) {
    const float last = alpha * x.last(i, 0);
    for (std::size_t j = 0; j < out.cols; ++j) out(i, j) += last;
  }
}

// out ← β out + α X [a 1]: the body X a, and the row sums of X as last column
void multiply_rows(float alpha, MatrixView<const float> x, const FactorRows& input, float beta,
                   const Augmented<float>& out) {
  blas::gemm(alpha, x, input.rows, beta, out.body);
  if (!out.has_last()) return;
  for (std::size_t i = 0; i < x.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < x.cols; ++j) sum += static_cast<double>(x(i, j));
    const auto last = static_cast<float>(static_cast<double>(alpha) * sum);
    out.last(i, 0) = beta == 0.0F ? last : (beta * out.last(i, 0)) + last;
  }
}

// √scale, what makes rows a panel; a covariance side has P = I
double panel_scale(const FactorRows& side, FactorForm form) {
  return form == FactorForm::panel ? std::sqrt(side.scale) : 1;
}

}  // namespace

void require_finite(std::string_view name, std::span<const float> numbers) {
  const auto found = std::ranges::find_if(numbers, [](float x) { return !std::isfinite(x); });
  if (found == numbers.end()) return;
  throw expected(ErrorCode::not_finite, "finite numbers", name,
                 to_text(static_cast<double>(*found)) + " at index " + std::to_string(found - numbers.begin()));
}

void require_finite(std::string_view name, const WeightView<const float>& v) {
  const std::string prefix(name);
  require_finite(v.bias.empty() ? prefix : prefix + ".kernel", v.kernel.elements());
  require_finite(prefix + ".bias", v.bias);
}

void throw_not_finite(const FisherBlock& block, std::string_view name, const WeightView<const float>& v) {
  require_finite("inputs", block.input.rows.elements());
  require_finite("outputGrads", block.output.rows.elements());
  require_finite(name, v);
  throw expected(ErrorCode::not_finite, "products within the range of float32",
                 "inputs, outputGrads and " + std::string(name), "an overflow");
}

BlockTraces traces(const FisherBlock& block) {
  const BlockTraces result{.input = trace(block.input), .output = trace(block.output)};
  if (std::isfinite(result.input) && std::isfinite(result.output)) return result;
  require_finite("inputs", block.input.rows.elements());
  require_finite("outputGrads", block.output.rows.elements());
  throw expected(ErrorCode::not_finite, "squares within the range of float32", "inputs and outputGrads", "an overflow");
}

double absolute_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  if (!damping.relative) return damping.value;
  return damping.value * (traces.input / static_cast<double>(block.cols())) *
         (traces.output / static_cast<double>(block.rows()));
}

void project(const FisherBlock& block, const BlockForms& forms, const WeightView<const float>& v, MatrixView<float> u,
             Buffer<float>& half) {
  const auto scale =
      static_cast<float>(panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output));
  const MatrixView<const float>& g = block.output.rows;
  const bool input_panel = forms.input == FactorForm::panel;
  const bool output_panel = forms.output == FactorForm::panel;
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const Augmented<const float> source = augmented(v);

  if (input_panel && output_panel) {
    const std::size_t input_rows = block.input.count();
    const std::size_t output_rows = block.output.count();
    // (g v) aᵀ: N_g·n·(m + N_a) products; g (v aᵀ): N_a·m·(n + N_g)
    if (output_rows * n * (m + input_rows) <= input_rows * m * (n + output_rows)) {
      const MatrixView<float> gv = half.matrix(output_rows, n);
      multiply_left(1.0F, g, source, 0.0F, augmented(gv, block.input));
      multiply_rows_transposed(scale, reading(augmented(gv, block.input)), block.input, u);
    } else {
      const MatrixView<float> va = half.matrix(m, input_rows);
      multiply_rows_transposed(1.0F, source, block.input, va);
      blas::gemm(scale, g, va, 0.0F, u);
    }
  } else if (output_panel) {
    multiply_left(scale, g, source, 0.0F, augmented(u, block.input));
  } else if (input_panel) {
    multiply_rows_transposed(scale, source, block.input, u);
  } else {
    const Augmented<float> target = augmented(u, block.input);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < target.body.cols; ++j) target.body(i, j) = source.body(i, j);
      if (source.has_last() && target.has_last()) target.last(i, 0) = source.last(i, 0);
    }
  }
}

void expand(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, MatrixView<const float> c,
            double norm_c, float beta, const WeightView<float>& out, Buffer<float>& half) {
  const double scale = panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output);
  const MatrixView<const float> g_transposed = block.output.rows.transposed();
  const bool input_panel = forms.input == FactorForm::panel;
  const bool output_panel = forms.output == FactorForm::panel;
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const Augmented<float> target = augmented(out);

  // ‖[a 1]‖_F and ‖g‖_F bound each product in turn
  const double norm_input = input_panel ? std::sqrt(traces.input / block.input.scale) : 1;
  const double norm_output = output_panel ? std::sqrt(traces.output / block.output.scale) : 1;
  const double bound = scale * norm_c * std::max(1.0, norm_input) * std::max(1.0, norm_output);
  if (!(bound <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }

  const auto alpha = static_cast<float>(scale);
  if (input_panel && output_panel) {
    const std::size_t input_rows = block.input.count();
    const std::size_t output_rows = block.output.count();
    // (gᵀ C) a: m·N_a·(N_g + n) products; gᵀ (C a): N_g·n·(N_a + m)
    if (m * input_rows * (output_rows + n) < output_rows * n * (input_rows + m)) {
      const MatrixView<float> gc = half.matrix(m, input_rows);
      blas::gemm(alpha, g_transposed, c, 0.0F, gc);
      multiply_rows(1.0F, gc, block.input, beta, target);
    } else {
      const MatrixView<float> ca = half.matrix(output_rows, n);
      multiply_rows(alpha, c, block.input, 0.0F, augmented(ca, block.input));
      multiply_left(1.0F, g_transposed, reading(augmented(ca, block.input)), beta, target);
    }
  } else if (output_panel) {
    multiply_left(alpha, g_transposed, augmented(c, block.input), beta, target);
  } else if (input_panel) {
    multiply_rows(alpha, c, block.input, beta, target);
  } else {
    const Augmented<const float> source = augmented(c, block.input);
    const auto add = [beta](float& sum, float term) { sum = beta == 0.0F ? term : (beta * sum) + term; };
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < source.body.cols; ++j) add(target.body(i, j), source.body(i, j));
      if (source.has_last() && target.has_last()) add(target.last(i, 0), source.last(i, 0));
    }
  }
}

void copy(const WeightView<const float>& v, const WeightView<float>& out) {
  if (v.kernel.data != out.kernel.data) std::ranges::copy(v.kernel.elements(), out.kernel.data);
  if (v.bias.data() != out.bias.data()) std::ranges::copy(v.bias, out.bias.data());
}

void axpy(float alpha, const WeightView<const float>& x, const WeightView<float>& y) {
  blas::axpy(alpha, x.kernel.elements(), y.kernel.elements());
  if (!x.bias.empty()) blas::axpy(alpha, x.bias, y.bias);
}

double dot(const WeightView<const float>& x, const WeightView<const float>& y) {
  return blas::dot(x.kernel.elements(), y.kernel.elements()) + (x.bias.empty() ? 0 : blas::dot(x.bias, y.bias));
}

}  // namespace cgfac
