#include "core/solver/woodbury.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/pass_order.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/tiles.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// matrix ← (matrix + γI)⁻¹
void invert(MatrixView<double> matrix, double gamma) {
  for (std::size_t i = 0; i < matrix.rows; ++i) matrix(i, i) += gamma;
  if (!blas::cholesky(matrix)) {
    throw expected(ErrorCode::invalid_value, "a damping above the rounding of the rows", "damping", to_text(gamma));
  }
  blas::cholesky_inverse(matrix);
}

// Both inverses (K + γI)⁻¹, or of the factor itself, and room for the rest. They stay float64, as what they multiply
// becomes: (I − P S Pᵀ)/γ takes the difference of nearly equal numbers, and float32 would lose its square, (K/γ)²·2⁻²⁴.
struct Inverses {
  BlockForms forms;
  MatrixView<double> input;   // S_a
  MatrixView<double> output;  // S_g
  std::span<double> scratch;
};

Inverses inverses(const FisherBlock& block, const FactoredDamping& damping, std::size_t numbers,
                  GramWorkspace& workspace) {
  Inverses result{.forms = gram_forms(block), .input = {}, .output = {}, .scratch = {}};
  const std::size_t q = projected_size(block.output, result.forms.output);
  const std::size_t p = projected_size(block.input, result.forms.input);
  const std::size_t matrices = (p * p) + (q * q);
  Carver arena(workspace.arena.span(matrices + std::max(numbers, (matrices / 2) + 2)));
  result.input = arena.doubles(p, p);
  result.output = arena.doubles(q, q);
  result.scratch = arena.rest();
  form_matrices(block, result.forms, result.input, result.output, result.scratch);
  if (!std::isfinite(blas::dot(result.input.elements(), result.input.elements()) +
                     blas::dot(result.output.elements(), result.output.elements()))) {
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs and outputGrads",
                   "an overflow");
  }
  parallel_for(2, 4 * static_cast<double>((p * p * p) + (q * q * q)), [&](std::size_t i) {
    if ((i == 0) == (p >= q)) {
      invert(result.input, damping.input);
    } else {
      invert(result.output, damping.output);
    }
  });
  return result;
}

// rows of a vector: kernel and bias
WeightView<float> rows_of(const WeightView<float>& v, std::size_t first, std::size_t count) {
  return {v.kernel.rows_from(first, count), v.bias.empty() ? v.bias : v.bias.subspan(first, count)};
}

// Room for `lines` rows (or columns) of a half product `width` wide: in float32, in float64, and multiplied.
struct Half {
  MatrixView<float> single;
  MatrixView<double> wide;
  MatrixView<double> product;

  static std::size_t numbers(std::size_t lines, std::size_t width) { return (3 * lines * width) + 1; }
  Half(std::span<double> memory, std::size_t rows, std::size_t cols) {
    Carver carver(memory);
    single = carver.floats(rows, cols);
    wide = carver.doubles(rows, cols);
    product = carver.doubles(rows, cols);
  }
};

// x ← x (A + γI)⁻¹ for some rows of x
void multiply_by_input_inverse(const FisherBlock& block, const Inverses& inverses, double gamma,
                               const WeightView<float>& x, const Half& half) {
  const Side& side = block.input;
  const std::size_t d = side.rows.cols;
  const MatrixView<float> bias(x.bias.data(), x.bias.size(), 1);
  if (inverses.forms.input == FactorForm::covariance) {  // [kernel bias] S
    widen(x.kernel, half.wide.columns(0, d));
    if (side.homogeneous) widen(bias, half.wide.columns(d, 1));
    blas::gemm(1.0, half.wide, inverses.input, 0.0, half.product);
    narrow(half.product.columns(0, d), x.kernel);
    if (side.homogeneous) narrow(half.product.columns(d, 1), bias);
    return;
  }
  // (x − (x P_a) S P_aᵀ)/γ
  blas::gemm(1.0F, x.kernel, side.rows.transposed(), 0.0F, half.single);
  widen(half.single, half.wide);
  if (side.homogeneous) {
    for (std::size_t i = 0; i < half.wide.rows; ++i) {
      for (std::size_t j = 0; j < half.wide.cols; ++j) half.wide(i, j) += static_cast<double>(bias(i, 0));
    }
  }
  blas::gemm(side.scale / gamma, half.wide, inverses.input, 0.0, half.product);
  narrow(half.product, half.single);
  const auto keep = static_cast<float>(1 / gamma);
  blas::gemm(-1.0F, half.single, side.rows, keep, x.kernel);
  if (!side.homogeneous) return;
  for (std::size_t i = 0; i < half.product.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < half.product.cols; ++j) sum += half.product(i, j);
    bias(i, 0) = static_cast<float>((static_cast<double>(bias(i, 0)) / gamma) - sum);
  }
}

// x ← (G + γI)⁻¹ x for some columns of x
void multiply_by_output_inverse(const FisherBlock& block, const Inverses& inverses, double gamma, MatrixView<float> x,
                                const Half& half) {
  if (inverses.forms.output == FactorForm::covariance) {
    widen(x, half.wide);
    blas::gemm(1.0, inverses.output, half.wide, 0.0, half.product);
    narrow(half.product, x);
    return;
  }
  blas::gemm(1.0F, block.output.rows, x, 0.0F, half.single);
  widen(half.single, half.wide);
  blas::gemm(block.output.scale / gamma, inverses.output, half.wide, 0.0, half.product);
  narrow(half.product, half.single);
  blas::gemm(-1.0F, block.output.rows.transposed(), half.single, static_cast<float>(1 / gamma), x);
}

// x ← (G + γ_G I)⁻¹ x (A + γ_A I)⁻¹ in place, a chunk of rows and then of columns at a time
void precondition(const FisherBlock& block, const Inverses& inverses, const FactoredDamping& damping,
                  const WeightView<float>& x) {
  const std::size_t m = block.rows();
  const std::size_t in_features = block.input.rows.cols;
  const std::size_t p = inverses.input.rows;
  const std::size_t q = inverses.output.rows;
  // the memory of block i of a chunk
  const auto memory = [&](const Split& split, std::size_t i, std::size_t width) {
    return inverses.scratch.subspan(Half::numbers(split.first(i), width) + i, Half::numbers(split.count(i), width));
  };
  const auto chunk = [&](std::size_t extent, std::size_t width) {
    const std::size_t fitting = inverses.scratch.size() / (3 * width);
    return std::clamp(fitting - std::min(fitting, smallest_chunk), smallest_chunk, std::max(extent, smallest_chunk));
  };

  const std::size_t height = chunk(m, p);
  for (std::size_t first = 0; first < m; first += height) {
    const std::size_t rows = std::min(height, m - first);
    const Split split = Split::columns(rows, 2 * product_flops(rows, in_features, p));
    parallel_for(split.blocks(), [&](std::size_t i) {
      multiply_by_input_inverse(block, inverses, damping.input, rows_of(x, first + split.first(i), split.count(i)),
                                Half(memory(split, i, p), split.count(i), p));
    });
  }
  const std::size_t width = chunk(in_features, q);
  for (std::size_t first = 0; first < in_features; first += width) {
    const std::size_t columns = std::min(width, in_features - first);
    const Split split = Split::columns(columns, 2 * product_flops(m, q, columns));
    parallel_for(split.blocks(), [&](std::size_t i) {
      multiply_by_output_inverse(block, inverses, damping.output,
                                 x.kernel.columns(first + split.first(i), split.count(i)),
                                 Half(memory(split, i, q), q, split.count(i)));
    });
  }
  if (!x.bias.empty()) {
    multiply_by_output_inverse(block, inverses, damping.output, {x.bias.data(), m, 1}, Half(inverses.scratch, q, 1));
  }
}

void require_range(double norm_v, const FactoredDamping& damping, const Destination& destination) {
  // the largest eigenvalue of the inverse is 1/(γ_A γ_G), and each step's is below its 1/γ
  const double bound = norm_v / std::min(damping.input, 1.0) / std::min(damping.output, 1.0);
  if (!(bound * std::max(1.0, std::abs(destination.factor)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
}

SolutionProducts solve_given(const FisherBlock& block, const FactoredDamping& damping, const WeightView<const float>& v,
                             const Destination& destination, GramWorkspace& workspace) {
  const double v_norm2 = dot(v, v);
  if (!std::isfinite(v_norm2)) throw_not_finite(block, "v", v);
  require_range(std::sqrt(v_norm2), damping, destination);
  const BlockForms forms = gram_forms(block);
  const std::size_t widest =
      std::max(projected_size(block.input, forms.input), projected_size(block.output, forms.output));
  const std::size_t least = Half::numbers(3 * smallest_chunk, widest);
  const std::size_t ideal = Half::numbers(std::max(block.rows(), block.cols()) + (2 * smallest_chunk), widest);
  const std::size_t limit = GramProblem::arena_numbers(widest) - (2 * widest * widest);
  const Inverses both = inverses(block, damping, std::min(std::max(least, ideal), std::max(limit, least)), workspace);
  const bool in_place = destination.out.kernel.data == v.kernel.data;
  copy(v, destination.out);
  precondition(block, both, damping, destination.out);
  SolutionProducts products;
  if (!in_place) products.vx = dot(v, destination.out);
  if (destination.factor != 1) scale(static_cast<float>(destination.factor), destination.out);
  return products;
}

// (I − γS)/scale: K S in units of the rows' own products
void complement(MatrixView<const double> s, double gamma, double scale, MatrixView<float> out) {
  const double factor = -gamma / scale;
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] = static_cast<float>(factor * s.data[i]);
  for (std::size_t i = 0; i < out.rows; ++i) out(i, i) = static_cast<float>((1 - (gamma * s(i, i))) / scale);
}

double square(MatrixView<const float> x) {
  return blas::dot(x.elements(), x.elements());
}

// ⟨X, Y⟩ of symmetric matrices, of which X has its lower triangle only
double dot_of_lower(MatrixView<const float> x, MatrixView<const float> y) {
  double below = 0;
  double diagonal = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    below += blas::dot(std::span(x.data + (i * x.cols), i), std::span(y.data + (i * y.cols), i));
    diagonal += static_cast<double>(x(i, i)) * static_cast<double>(y(i, i));
  }
  return (2 * below) + diagonal;
}

double trace(MatrixView<const float> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) sum += static_cast<double>(x(i, i));
  return sum;
}

SolutionProducts solve_own(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                           const Gradient& gradient, const Destination& destination, GramWorkspace& workspace) {
  const std::size_t batch = block.input.count();
  const std::size_t fisher_rows = block.output.count();
  const std::size_t widest = std::max(batch, fisher_rows);
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const std::size_t in_features = block.input.rows.cols;
  const std::size_t least = (4 * widest * widest) + 16 + (2 * smallest_chunk * widest);
  const std::size_t limit = GramProblem::arena_numbers(widest) - (2 * widest * widest);
  const Inverses both = inverses(block, damping, std::max(limit, least), workspace);
  const double input_scale = block.input.scale;
  const double output_scale = block.output.scale;
  const double scale = gradient.scale;
  const double factor = destination.factor;
  const auto keep = static_cast<float>(destination.keep);
  const bool same = empirical(block, gradient);

  SolutionProducts products;
  double loss_grads_norm2 = traces.output / output_scale;  // ‖g_v‖²
  MatrixView<float> subtracted{};                          // √scale_g M = √scale_g S_g P_gᵀ g_vᵀ, where g_v is not g
  Carver carver(both.scratch);
  if (!same) subtracted = carver.floats(fisher_rows, batch);
  {
    Carver temporary(carver.rest());
    const MatrixView<float> input_rest = temporary.floats(batch, batch);  // (I − γ_A S_a)/scale_a = Z_a aᵀ
    const MatrixView<float> cross = temporary.floats(fisher_rows, batch);
    complement(both.input, damping.input, input_scale, input_rest);
    if (same) {
      const MatrixView<float> product = temporary.floats(fisher_rows, batch);
      complement(both.output, damping.output, output_scale, cross);
      products.vx = scale * scale * blas::dot(std::span<const float>(cross.elements()), input_rest.elements());
      gemm_in_tiles(1.0F, cross, input_rest, 0.0F, product);
      products.xfx = output_scale * input_scale * scale * scale * square(product);
    } else {
      // ⟨v, x⟩ = ⟨g_v g_vᵀ, Z_a aᵀ⟩ − ⟨g g_vᵀ, √scale_g M Z_a aᵀ⟩, and xᵀFx from the last product
      const MatrixView<float> own = temporary.floats(batch, batch);  // g_v g_vᵀ
      form_cross(block.output.rows, gradient.loss_grads, cross, own);
      {
        Carver memory(temporary.rest());
        const MatrixView<double> wide = memory.doubles(fisher_rows, batch);
        const MatrixView<double> middle = memory.doubles(fisher_rows, batch);
        widen(cross, wide);
        gemm_in_tiles(output_scale, both.output, wide, 0.0, middle);
        narrow(middle, subtracted);
      }
      const MatrixView<float> product = temporary.floats(fisher_rows, batch);
      gemm_in_tiles(1.0F, subtracted, input_rest, 0.0F, product);
      products.vx =
          scale * scale / damping.output *
          (dot_of_lower(own, input_rest) - blas::dot(std::span<const float>(cross.elements()), product.elements()));
      products.xfx = scale * scale * input_scale / output_scale * square(product);
      loss_grads_norm2 = trace(own);
    }
  }
  if (!std::isfinite(products.vx + products.xfx)) {
    require_finite("lossGrads", gradient.loss_grads.elements());
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and lossGrads",
                   "an overflow");
  }
  // ‖g_v‖ and ‖[a 1]‖, each divided by its γ, bound every product below
  require_range(scale * std::sqrt(loss_grads_norm2) * std::max(1.0, std::sqrt(traces.input / input_scale)) *
                    std::max(1.0, std::sqrt(traces.output / output_scale)),
                damping, destination);

  // The rows are multiplied by one inverse after the other, in float32: the product of both in float32 would lose
  // √(K_a K_g/(γ_A γ_G))·2⁻²⁴, each alone loses the square root of that.
  const MatrixView<float> input_inverse = carver.floats(batch, batch);
  const MatrixView<float> output_inverse = carver.floats(fisher_rows, same ? fisher_rows : 0);
  narrow(both.input, input_inverse);
  if (same) narrow(both.output, output_inverse);
  const std::span<float> scratch = as_floats(carver.rest());
  const std::size_t widths = std::max<std::size_t>(same ? batch + fisher_rows : 2 * batch, 1);
  const auto chunk = [&](std::size_t extent) {
    return std::clamp(scratch.size() / widths / smallest_chunk * smallest_chunk, smallest_chunk,
                      std::max(extent, smallest_chunk));
  };
  const MatrixView<const float> g_transposed = block.output.rows.transposed();
  if (same &&
      (n < m ||
       (n == m && block.layout == KernelLayout::in_out))) {  // x = gᵀ (κ S_g S_a [a 1]), a chunk of columns at a time
    const auto own_factor = static_cast<float>(scale * factor);
    const auto multiply = [&](MatrixView<const float> rows, float* memory, MatrixView<float> out) {
      const MatrixView<float> first(memory, batch, rows.cols);
      const MatrixView<float> second(memory + first.size(), fisher_rows, rows.cols);
      blas::gemm(own_factor, input_inverse, rows, 0.0F, first);
      blas::gemm(1.0F, output_inverse, first, 0.0F, second);
      blas::gemm(1.0F, g_transposed, second, keep, out);
    };
    const std::size_t width = chunk(in_features);
    for (std::size_t first = 0; first < in_features; first += width) {
      const std::size_t columns = std::min(width, in_features - first);
      const Split split = Split::columns(columns, product_flops(m, fisher_rows, columns));
      parallel_for(split.blocks(), [&](std::size_t i) {
        const std::size_t at = first + split.first(i);
        multiply(block.input.rows.columns(at, split.count(i)), scratch.data() + (widths * split.first(i)),
                 destination.out.kernel.columns(at, split.count(i)));
      });
    }
    if (block.input.homogeneous) {
      const std::vector<float> ones(batch, 1.0F);
      multiply({ones.data(), batch, 1}, scratch.data(), {destination.out.bias.data(), m, 1});
    }
    return products;
  }

  // x = zᵀ [a 1] with z, batch × m, one of
  //   κ S_a S_g g                                     under the empirical Fisher
  //   S_a (g_v − √scale_g Mᵀ g)·scale/γ_G             a chunk of columns of g at a time
  // or, where [a 1] is the narrower side and there is room for Z_a = S_a [a 1], x = (z without S_a)ᵀ Z_a.
  const auto own_factor = static_cast<float>(same ? factor * scale : factor * scale / damping.output);
  const bool inputs_first = !same && n < m && (batch * n) + (2 * smallest_chunk * batch) <= scratch.size();
  const MatrixView<float> z_a(scratch.data(), batch, inputs_first ? n : 0);
  if (inputs_first) {
    const Split split = Split::columns(in_features, product_flops(batch, batch, in_features));
    parallel_for(split.blocks(), [&](std::size_t i) {
      blas::gemm(1.0F, input_inverse, block.input.rows.columns(split.first(i), split.count(i)), 0.0F,
                 z_a.columns(split.first(i), split.count(i)));
    });
    for (std::size_t row = 0; block.input.homogeneous && row < batch; ++row) {
      double sum = 0;
      for (std::size_t j = 0; j < batch; ++j) sum += static_cast<double>(input_inverse(row, j));
      z_a(row, in_features) = static_cast<float>(sum);
    }
  }
  const std::span<float> rest = scratch.subspan(z_a.size());
  const std::size_t height =
      std::clamp(rest.size() / widths / smallest_chunk * smallest_chunk, smallest_chunk, std::max(m, smallest_chunk));
  for (std::size_t first = 0; first < m; first += height) {
    const std::size_t rows = std::min(height, m - first);
    const Split split = Split::columns(rows, product_flops(rows, batch, in_features));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      const std::size_t count = split.count(i);
      float* const memory = rest.data() + (widths * split.first(i));
      const MatrixView<float> z(memory, batch, count);
      const MatrixView<float> between(memory + z.size(), same ? fisher_rows : batch, count);
      const MatrixView<const float> g = block.output.rows.columns(at, count);
      if (same) {
        blas::gemm(own_factor, output_inverse, g, 0.0F, between);
      } else {
        for (std::size_t row = 0; row < batch; ++row) {
          std::copy_n(gradient.loss_grads.data + (row * gradient.loss_grads.row_stride) + at, count,
                      between.data + (row * count));
        }
        blas::gemm(-own_factor, subtracted.transposed(), g, own_factor, between);
      }
      const WeightView<float> out = rows_of(destination.out, at, count);
      if (inputs_first) {
        blas::gemm(1.0F, between.transposed(), z_a.columns(0, in_features), keep, out.kernel);
        if (block.input.homogeneous) {
          blas::gemm(1.0F, between.transposed(), z_a.columns(in_features, 1), keep, {out.bias.data(), count, 1});
        }
        return;
      }
      blas::gemm(1.0F, input_inverse, between, 0.0F, z);
      blas::gemm(1.0F, z.transposed(), block.input.rows, keep, out.kernel);
      for (std::size_t j = 0; j < out.bias.size(); ++j) {
        double sum = 0;
        for (std::size_t row = 0; row < batch; ++row) sum += static_cast<double>(z(row, j));
        out.bias[j] = (keep == 0.0F ? 0.0F : keep * out.bias[j]) + static_cast<float>(sum);
      }
    });
  }
  return products;
}

}  // namespace

FactoredDamping factored_gammas(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  const double input = traces.input / static_cast<double>(block.cols());
  const double output = traces.output / static_cast<double>(block.rows());
  const double ratio = std::sqrt(input / output);  // π
  return damping.relative
             ? FactoredDamping{.input = damping.value * input, .output = damping.value * output}
             : FactoredDamping{.input = ratio * std::sqrt(damping.value), .output = std::sqrt(damping.value) / ratio};
}

FactoredDamping factored_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  if (!(traces.input > 0 && traces.output > 0)) {
    throw expected(ErrorCode::invalid_value, "inputs and outputGrads that are not all zero", "factored damping",
                   "a mean eigenvalue of 0");
  }
  const FactoredDamping result = factored_gammas(block, traces, damping);
  for (const double gamma : {result.input, result.output}) {
    if (!(gamma >= static_cast<double>(std::numeric_limits<float>::min()) &&
          gamma <= static_cast<double>(std::numeric_limits<float>::max()))) {
      throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "factored damping",
                     to_text(gamma));
    }
  }
  return result;
}

SolutionProducts solve_factored(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                                const Gradient& gradient, const Destination& destination, GramWorkspace& workspace) {
  if (!gradient.same_batch()) return solve_given(block, damping, gradient.v, destination, workspace);
  const BlockForms forms = gram_forms(block);
  if (forms.input == FactorForm::panel && forms.output == FactorForm::panel) {
    return solve_own(block, traces, damping, gradient, destination, workspace);
  }
  // v is formed, and x stays apart from it, for ⟨v, x⟩, and from what is kept
  const std::span<float> memory = workspace.gradient.span((destination.keep == 0 ? 1 : 2) * block.size());
  const WeightView<float> v = block.view(memory.first(block.size()));
  form_gradient(block, gradient, v);
  if (destination.keep == 0) return solve_given(block, damping, v, destination, workspace);
  const WeightView<float> x = block.view(memory.subspan(block.size()));
  const double norm_v = std::sqrt(dot(WeightView<const float>(v), WeightView<const float>(v)));
  require_range(norm_v, damping, destination);
  const SolutionProducts products = solve_given(block, damping, v, {.out = x}, workspace);
  write(x, destination);
  return products;
}

}  // namespace cgfac
