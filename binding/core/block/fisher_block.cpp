#include "core/block/fisher_block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "core/base/error.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

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
Augmented<T> augmented(const MatrixView<T>& matrix, const Side& input) {
  const std::size_t in_features = input.features();
  return {matrix.columns(0, in_features), input.homogeneous ? matrix.columns(in_features, 1) : MatrixView<T>()};
}

template <typename T>
Augmented<T> columns_of(const Augmented<T>& x, std::size_t first, std::size_t count) {
  return {x.body.columns(first, count), MatrixView<T>()};
}

template <typename T>
Augmented<T> rows_of(const Augmented<T>& x, std::size_t first, std::size_t count) {
  return {x.body.rows_from(first, count), x.has_last() ? x.last.rows_from(first, count) : MatrixView<T>()};
}

// out ← β out + α X Y for a Y with a last column
void multiply_left(float alpha, MatrixView<const float> x, const Augmented<const float>& y, float beta,
                   const Augmented<float>& out) {
  blas::gemm(alpha, x, y.body, beta, out.body);
  if (out.has_last()) blas::gemm(alpha, x, y.last, beta, out.last);
}

// out ← out + α x lᵀ, l the last coordinates of the rows
void add_last(float alpha, const MatrixView<const float>& x, const Side& input, const MatrixView<float>& out) {
  if (input.stores_last()) {
    blas::gemm(alpha, x, input.last.transposed(), 1.0F, out);
    return;
  }
  for (std::size_t i = 0; i < out.rows; ++i) {
    const float last = alpha * x(i, 0);
    for (std::size_t j = 0; j < out.cols; ++j) out(i, j) += last;
  }
}

// out ← α X [a l]ᵀ for an X with a last column: X_body aᵀ + X_last lᵀ
void multiply_rows_transposed(float alpha, const Augmented<const float>& x, const Side& input, MatrixView<float> out) {
  blas::gemm(alpha, x.body, input.rows.transposed(), 0.0F, out);
  if (x.has_last()) add_last(alpha, x.last, input, out);
}

// out ← β out + α X l, the last column of X [a l]
void multiply_last(float alpha, const MatrixView<const float>& x, const Side& input, float beta,
                   const MatrixView<float>& out) {
  if (input.stores_last()) {
    blas::gemm(alpha, x, input.last, beta, out);
    return;
  }
  for (std::size_t i = 0; i < x.rows; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < x.cols; ++j) sum += static_cast<double>(x(i, j));
    const auto last = static_cast<float>(static_cast<double>(alpha) * sum);
    out(i, 0) = beta == 0.0F ? last : (beta * out(i, 0)) + last;
  }
}

// out ← β out + α X [a l]
void multiply_rows(float alpha, MatrixView<const float> x, const Side& input, float beta, const Augmented<float>& out) {
  blas::gemm(alpha, x, input.rows, beta, out.body);
  if (out.has_last()) multiply_last(alpha, x, input, beta, out.last);
}

// √scale, what makes rows a panel; a covariance side has P = I
double panel_scale(const Side& side, FactorForm form) {
  return form == FactorForm::panel ? std::sqrt(side.scale) : 1;
}

// Which product of both panels comes first when projecting: (g v) aᵀ, half N_g × n, or g (v aᵀ), half m × N_a. Where
// both cost the same, the one that reads v in contiguous pieces.
bool project_output_first(const FisherBlock& block) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const double output_first = product_flops(block.output.count(), n, m + block.input.count());
  const double input_first = product_flops(block.input.count(), m, n + block.output.count());
  return output_first == input_first ? block.layout == KernelLayout::in_out : output_first < input_first;
}

// The same for expanding: (gᵀ C) a, half m × N_a, or gᵀ (C a), half N_g × n.
bool expand_output_first(const FisherBlock& block) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const double output_first = product_flops(m, block.input.count(), block.output.count() + n);
  const double input_first = product_flops(block.output.count(), n, block.input.count() + m);
  return output_first == input_first ? block.layout == KernelLayout::out_in : output_first < input_first;
}

// Columns or rows of a half product `width` wide that fit in the scratch: all of them, or a multiple of
// `smallest_chunk`.
std::size_t chunk_of(std::size_t extent, std::size_t width, std::size_t scratch) {
  const std::size_t fitting = scratch / width;
  return fitting >= extent ? extent : std::max(fitting / smallest_chunk * smallest_chunk, smallest_chunk);
}

// out ← β out + σ v, along the storage of out
void combine(float sigma, MatrixView<const float> v, float beta, MatrixView<float> out) {
  if (!out.row_major()) {
    combine(sigma, v.transposed(), beta, out.transposed());
    return;
  }
  for (std::size_t i = 0; i < out.rows; ++i) {
    const float* const from = v.data + (i * v.row_stride);
    float* const to = out.data + (i * out.row_stride);
    if (!v.row_major()) {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = (beta == 0.0F ? 0.0F : beta * to[j]) + (sigma * v(i, j));
    } else if (beta == 0.0F) {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = sigma * from[j];
    } else {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = (beta * to[j]) + (sigma * from[j]);
    }
  }
}

// The multiple of v that goes into `out` before a product is added: prepares a block and gives the β of that product.
struct Addend {
  Augmented<const float> v;
  float sigma = 0;
  float keep = 0;

  [[nodiscard]] float prepare(const Augmented<const float>& from, const Augmented<float>& out) const {
    combine(sigma, from.body, keep, out.body);
    if (out.has_last()) combine(sigma, from.last, keep, out.last);
    return 1;
  }
  [[nodiscard]] float rows(std::size_t first, std::size_t count, const Augmented<float>& out) const {
    return sigma == 0.0F ? keep : prepare(rows_of(v, first, count), out);
  }
  [[nodiscard]] float columns(std::size_t first, std::size_t count, const Augmented<float>& out) const {
    return sigma == 0.0F ? keep : prepare(columns_of(v, first, count), out);
  }
};

// ‖x‖² over the elements in storage order, a line at a time
double square(const MatrixView<const float>& x) {
  if (!x.row_major()) return square(x.transposed());
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    const std::span<const float> line(x.data + (i * x.row_stride), x.cols);
    sum += blas::dot(line, line);
  }
  return sum;
}

// Runs body(i, first, count) for each block of a split; returns the sum of what the bodies return, in the order of the
// blocks.
template <typename Body>
double sum_over(const Split& split, const Body& body) {
  std::array<double, Split::most_columns> sums{};
  parallel_for(split.blocks(), [&](std::size_t i) { sums[i] = body(split.first(i), split.count(i)); });
  double sum = 0;
  for (std::size_t i = 0; i < split.blocks(); ++i) sum += sums[i];
  return sum;
}

// NaN or infinity in what a side is made of
void require_finite_side(std::string_view rows_name, std::string_view factor_name, const Side& side) {
  require_finite(rows_name, side.rows);
  require_finite(rows_name, side.last);
  require_finite(factor_name, side.covariance);
}

void require_finite_sides(const FisherBlock& block) {
  require_finite_side("inputs", "the input factor", block.input);
  require_finite_side("outputGrads", "the output factor", block.output);
}

// The side of the batch's own gradient: its input rows and the homogeneous 1.
Side gradient_side(const FisherBlock& block, const Gradient& gradient) {
  if (has_block_inputs(block, gradient)) return block.input;
  return {.rows = gradient.inputs, .homogeneous = block.bias()};
}

}  // namespace

bool has_block_inputs(const FisherBlock& block, const Gradient& gradient) {
  const MatrixView<const float>& inputs = gradient.inputs;
  return inputs.data == nullptr ||
         (inputs.data == block.input.rows.data && inputs.rows == block.input.count() && !block.input.stores_last());
}

bool empirical(const FisherBlock& block, const Gradient& gradient) {
  return gradient.same_batch() && gradient.loss_grads.data == block.output.rows.data &&
         gradient.loss_grads.rows == block.output.count() && has_block_inputs(block, gradient);
}

void throw_not_finite(const FisherBlock& block, std::string_view name, const WeightView<const float>& v) {
  require_finite_sides(block);
  require_finite(name, v);
  throw expected(ErrorCode::not_finite, "products within the range of float32",
                 "inputs, outputGrads and " + std::string(name), "an overflow");
}

void throw_not_finite(const FisherBlock& block, const Gradient& gradient) {
  if (gradient.same_batch()) {
    require_finite("lossGrads", gradient.loss_grads);
    require_finite("inputs", gradient.inputs);
  }
  throw_not_finite(block, "v", gradient.v);
}

BlockTraces traces(const FisherBlock& block) {
  const BlockTraces result{.input = trace(block.input), .output = trace(block.output)};
  // the trace of rows has seen all of them, that of a given factor its diagonal alone
  const double given = squares_in_pieces(block.input.covariance) + squares_in_pieces(block.output.covariance);
  if (std::isfinite(result.input) && std::isfinite(result.output) && std::isfinite(given)) return result;
  require_finite_sides(block);
  throw expected(ErrorCode::not_finite, "squares within the range of float32", "inputs and outputGrads", "an overflow");
}

double absolute_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping) {
  if (!damping.relative) return damping.value;
  return damping.value * (traces.input / static_cast<double>(block.cols())) *
         (traces.output / static_cast<double>(block.rows()));
}

std::size_t pass_scratch(const FisherBlock& block, const BlockForms& forms, std::size_t limit) {
  if (forms.input != FactorForm::panel || forms.output != FactorForm::panel) return 0;
  const std::size_t m_half = block.rows() * block.input.count();
  const std::size_t n_half = block.cols() * block.output.count();
  const std::size_t ideal =
      std::max(project_output_first(block) ? n_half : m_half, expand_output_first(block) ? m_half : n_half);
  const std::size_t least = smallest_chunk * std::max(block.input.count(), block.output.count());
  return std::max(least, std::min(ideal, limit));
}

double project(const FisherBlock& block, const BlockForms& forms, const WeightView<const float>& v, MatrixView<float> u,
               std::span<float> scratch) {
  const auto scale =
      static_cast<float>(panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output));
  const MatrixView<const float>& g = block.output.rows;
  const MatrixView<const float>& a = block.input.rows;
  const bool input_panel = forms.input == FactorForm::panel;
  const bool output_panel = forms.output == FactorForm::panel;
  const std::size_t m = block.rows();
  const std::size_t in_features = a.cols;
  const Augmented<const float> source = augmented(v);
  double norm2 = v.bias.empty() ? 0 : blas::dot(v.bias, v.bias);

  if (input_panel && output_panel) {
    const std::size_t input_rows = block.input.count();
    const std::size_t output_rows = block.output.count();
    if (project_output_first(block)) {  // (g v) aᵀ, a chunk of columns of v at a time
      const std::size_t chunk = chunk_of(in_features, output_rows, scratch.size());
      for (std::size_t first = 0; first < in_features; first += chunk) {
        const std::size_t width = std::min(chunk, in_features - first);
        const MatrixView<float> gv(scratch.data(), output_rows, width);
        const Split split = Split::columns(width, product_flops(output_rows, m, width));
        norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
          const MatrixView<const float> part = source.body.columns(first + at, count);
          blas::gemm(1.0F, g, part, 0.0F, gv.columns(at, count));
          return square(part);
        });
        const Split tiles = Split::columns(output_rows, product_flops(output_rows, width, input_rows));
        const MatrixView<const float> rows = a.columns(first, width).transposed();
        parallel_for(tiles.blocks(), [&](std::size_t i) {
          blas::gemm(scale, gv.rows_from(tiles.first(i), tiles.count(i)), rows, first == 0 ? 0.0F : 1.0F,
                     u.rows_from(tiles.first(i), tiles.count(i)));
        });
      }
      if (!source.has_last()) return norm2;
      const MatrixView<float> last(scratch.data(), output_rows, 1);  // + (g·bias) 1ᵀ
      blas::gemm(scale, g, source.last, 0.0F, last);
      add_last(1.0F, last, block.input, u);
    } else {  // g (v aᵀ), a chunk of rows of v at a time
      const std::size_t chunk = chunk_of(m, input_rows, scratch.size());
      for (std::size_t first = 0; first < m; first += chunk) {
        const std::size_t height = std::min(chunk, m - first);
        const MatrixView<float> va(scratch.data(), height, input_rows);
        const Split split = Split::columns(height, product_flops(height, in_features, input_rows));
        norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
          const Augmented<const float> part = rows_of(source, first + at, count);
          multiply_rows_transposed(1.0F, part, block.input, va.rows_from(at, count));
          return square(part.body);
        });
        const Split tiles = Split::columns(output_rows, product_flops(output_rows, height, input_rows));
        parallel_for(tiles.blocks(), [&](std::size_t i) {
          blas::gemm(scale, g.rows_from(tiles.first(i), tiles.count(i)).columns(first, height), va,
                     first == 0 ? 0.0F : 1.0F, u.rows_from(tiles.first(i), tiles.count(i)));
        });
      }
    }
  } else if (output_panel) {  // g v
    const Augmented<float> target = augmented(u, block.input);
    const Split split = Split::columns(in_features, product_flops(u.rows, m, in_features));
    norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
      const MatrixView<const float> part = source.body.columns(at, count);
      blas::gemm(scale, g, part, 0.0F, target.body.columns(at, count));
      return square(part);
    });
    if (target.has_last()) blas::gemm(scale, g, source.last, 0.0F, target.last);
  } else if (input_panel) {  // v aᵀ
    const Split split = Split::columns(m, product_flops(m, in_features, u.cols));
    norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
      const Augmented<const float> part = rows_of(source, at, count);
      multiply_rows_transposed(scale, part, block.input, u.rows_from(at, count));
      return square(part.body);
    });
  } else {
    const Augmented<float> target = augmented(u, block.input);
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < target.body.cols; ++j) target.body(i, j) = source.body(i, j);
      if (source.has_last() && target.has_last()) target.last(i, 0) = source.last(i, 0);
    }
    norm2 += dot_in_pieces(v.kernel.elements(), v.kernel.elements());
  }
  return norm2;
}

void expand(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, double s,
            const Gradient& gradient, MatrixView<const float> c, double norm_c, const Destination& destination,
            std::span<float> scratch) {
  const double scale =
      destination.factor * panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output);
  const MatrixView<const float> g_transposed = block.output.rows.transposed();
  const bool input_panel = forms.input == FactorForm::panel;
  const bool output_panel = forms.output == FactorForm::panel;
  const std::size_t m = block.rows();
  const std::size_t in_features = block.input.features();
  const Augmented<float> target = augmented(destination.out);

  // ‖[a l]‖_F and ‖g‖_F bound each product in turn
  const double norm_input = input_panel ? std::sqrt(traces.input / block.input.scale) : 1;
  const double norm_output = output_panel ? std::sqrt(traces.output / block.output.scale) : 1;
  const double bound = std::abs(scale) * norm_c * std::max(1.0, norm_input) * std::max(1.0, norm_output);
  if (!(bound <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }

  const auto alpha = static_cast<float>(scale);
  const double multiple = s * destination.factor;
  if (gradient.same_batch() && s != 0) {  // (s·scale·g_vᵀ + P_g C) [a 1], a chunk of rows of out at a time
    const std::size_t batch = block.input.count();
    const auto own = static_cast<float>(multiple * gradient.scale);
    const auto keep = static_cast<float>(destination.keep);
    const std::size_t chunk = chunk_of(m, batch, scratch.size());
    for (std::size_t first = 0; first < m; first += chunk) {
      const std::size_t height = std::min(chunk, m - first);
      const MatrixView<float> z(scratch.data(), batch, height);  // transposed: its rows are samples, as those of g_v
      const Split split = Split::columns(height, product_flops(height, batch, in_features));
      parallel_for(split.blocks(), [&](std::size_t i) {
        const std::size_t at = first + split.first(i);
        const std::size_t count = split.count(i);
        const MatrixView<float> part = z.columns(split.first(i), count);
        combine(own, gradient.loss_grads.columns(at, count), 0.0F, part);
        blas::gemm(alpha, c.transposed(), block.output.rows.columns(at, count), 1.0F, part);
        multiply_rows(1.0F, part.transposed(), block.input, keep, rows_of(target, at, count));
      });
    }
    return;
  }

  const bool in_place = !gradient.same_batch() && gradient.v.kernel.data == destination.out.kernel.data;
  const Addend addend{.v = augmented(gradient.v),
                      .sigma = in_place ? 0.0F : static_cast<float>(multiple),
                      .keep = static_cast<float>(destination.keep + (in_place ? multiple : 0))};
  if (input_panel && output_panel) {
    const std::size_t input_rows = block.input.count();
    const std::size_t output_rows = block.output.count();
    if (expand_output_first(block)) {  // (gᵀ C) a
      const std::size_t chunk = chunk_of(m, input_rows, scratch.size());
      for (std::size_t first = 0; first < m; first += chunk) {
        const std::size_t height = std::min(chunk, m - first);
        const MatrixView<float> gc(scratch.data(), height, input_rows);
        const Split split = Split::columns(height, product_flops(height, input_rows, in_features));
        parallel_for(split.blocks(), [&](std::size_t i) {
          const std::size_t at = first + split.first(i);
          const std::size_t count = split.count(i);
          const MatrixView<float> part = gc.rows_from(split.first(i), count);
          const Augmented<float> out = rows_of(target, at, count);
          const float beta = addend.rows(at, count, out);
          blas::gemm(alpha, g_transposed.rows_from(at, count), c, 0.0F, part);
          multiply_rows(1.0F, part, block.input, beta, out);
        });
      }
    } else {  // gᵀ (C a)
      const std::size_t chunk = chunk_of(in_features, output_rows, scratch.size());
      for (std::size_t first = 0; first < in_features; first += chunk) {
        const std::size_t width = std::min(chunk, in_features - first);
        const MatrixView<float> ca(scratch.data(), output_rows, width);
        const Split split = Split::columns(width, product_flops(m, output_rows, width));
        parallel_for(split.blocks(), [&](std::size_t i) {
          const std::size_t at = first + split.first(i);
          const std::size_t count = split.count(i);
          const MatrixView<float> part = ca.columns(split.first(i), count);
          const Augmented<float> out = columns_of(target, at, count);
          const float beta = addend.columns(at, count, out);
          blas::gemm(alpha, c, block.input.rows.columns(at, count), 0.0F, part);
          blas::gemm(1.0F, g_transposed, part, beta, out.body);
        });
      }
      if (!target.has_last()) return;
      const MatrixView<float> sums(scratch.data(), output_rows, 1);  // C l
      multiply_last(alpha, c, block.input, 0.0F, sums);
      float beta = addend.keep;
      if (addend.sigma != 0.0F) {
        combine(addend.sigma, addend.v.last, addend.keep, target.last);
        beta = 1;
      }
      blas::gemm(1.0F, g_transposed, sums, beta, target.last);
    }
    return;
  }

  // a covariance side has P = I: each row of out on its own
  const Split split = Split::columns(m, product_flops(m, c.rows, c.cols) + product_flops(m, in_features, 8));
  const Augmented<const float> body = augmented(c, block.input);
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t at = split.first(i);
    const std::size_t count = split.count(i);
    const Augmented<float> out = rows_of(target, at, count);
    const float beta = addend.rows(at, count, out);
    if (output_panel) {
      multiply_left(alpha, g_transposed.rows_from(at, count), body, beta, out);
    } else if (input_panel) {
      multiply_rows(alpha, c.rows_from(at, count), block.input, beta, out);
    } else {
      const Augmented<const float> from = rows_of(body, at, count);
      combine(alpha, from.body, beta, out.body);
      if (out.has_last()) combine(alpha, from.last, beta, out.last);
    }
  });
}

void form_gradient(const FisherBlock& block, const Gradient& gradient, const WeightView<float>& v) {
  const Augmented<float> target = augmented(v);
  const Side inputs = gradient_side(block, gradient);
  const Split split = Split::columns(block.rows(), product_flops(block.rows(), inputs.count(), block.cols()));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t at = split.first(i);
    const std::size_t count = split.count(i);
    multiply_rows(static_cast<float>(gradient.scale), gradient.loss_grads.transposed().rows_from(at, count), inputs,
                  0.0F, rows_of(target, at, count));
  });
}

Gradient given_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory) {
  if (!gradient.same_batch()) return gradient;
  const WeightView<float> v = block.view(memory.span(block.size()));
  form_gradient(block, gradient, v);
  return {.v = v};
}

}  // namespace cgfac
