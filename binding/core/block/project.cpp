#include <algorithm>
#include <array>

#include "core/block/augmented.h"
#include "core/block/pass_order.h"
#include "core/block/passes.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// What every form of the pass reads, and where it writes. Each of the functions below adds the squares of the kernel to
// those it is given, in the order of its pieces.
struct Projection {
  const FisherBlock& block;
  Augmented<const float> v;
  float scale;  // √scale_g·√scale_a of the panels
  MatrixView<float> u;
  std::span<float> scratch;
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

// Runs body(first, count) for each block of a split; returns the sum of what the bodies return, in the order of the
// blocks.
template <typename Body>
double sum_over(const Split& split, const Body& body) {
  std::array<double, Split::most_columns> sums{};
  parallel_for(split.blocks(), [&](std::size_t i) { sums[i] = body(split.first(i), split.count(i)); });
  double sum = 0;
  for (std::size_t i = 0; i < split.blocks(); ++i) sum += sums[i];
  return sum;
}

// U += scale · X Y, split by rows of U; the first of several products begins the sum.
void accumulate(const Projection& pass, MatrixView<const float> x, MatrixView<const float> y, bool first) {
  const MatrixView<float>& u = pass.u;
  const Split tiles = Split::columns(u.rows, product_flops(u.rows, x.cols, u.cols));
  parallel_for(tiles.blocks(), [&](std::size_t i) {
    blas::gemm(pass.scale, x.rows_from(tiles.first(i), tiles.count(i)), y, first ? 0.0F : 1.0F,
               u.rows_from(tiles.first(i), tiles.count(i)));
  });
}

// U = Σ (g v) aᵀ over chunks of columns of v, and (g·bias) lᵀ
double project_output_side_first(const Projection& pass, double norm2) {
  const MatrixView<const float>& g = pass.block.output.rows;
  const MatrixView<const float>& a = pass.block.input.rows;
  const std::size_t chunk = chunk_of(a.cols, g.rows, pass.scratch.size());
  for (std::size_t first = 0; first < a.cols; first += chunk) {
    const std::size_t width = std::min(chunk, a.cols - first);
    const MatrixView<float> gv(pass.scratch.data(), g.rows, width);
    const Split split = Split::columns(width, product_flops(g.rows, g.cols, width));
    norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
      const MatrixView<const float> part = pass.v.body.columns(first + at, count);
      blas::gemm(1.0F, g, part, 0.0F, gv.columns(at, count));
      return square(part);
    });
    accumulate(pass, gv, a.columns(first, width).transposed(), first == 0);
  }
  if (!pass.v.has_last()) return norm2;
  const MatrixView<float> last(pass.scratch.data(), g.rows, 1);
  blas::gemm(pass.scale, g, pass.v.last, 0.0F, last);
  add_last(1.0F, last, pass.block.input, pass.u);
  return norm2;
}

// U = Σ g (v [a l]ᵀ) over chunks of rows of v
double project_input_side_first(const Projection& pass, double norm2) {
  const MatrixView<const float>& g = pass.block.output.rows;
  const MatrixView<const float>& a = pass.block.input.rows;
  const std::size_t m = g.cols;
  const std::size_t chunk = chunk_of(m, a.rows, pass.scratch.size());
  for (std::size_t first = 0; first < m; first += chunk) {
    const std::size_t height = std::min(chunk, m - first);
    const MatrixView<float> va(pass.scratch.data(), height, a.rows);
    const Split split = Split::columns(height, product_flops(height, a.cols, a.rows));
    norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
      const Augmented<const float> part = pass.v.rows(first + at, count);
      multiply_rows_transposed(1.0F, part, pass.block.input, va.rows_from(at, count));
      return square(part.body);
    });
    accumulate(pass, g.columns(first, height), va, first == 0);
  }
  return norm2;
}

// U = g v, the input side being a covariance
double project_output_side(const Projection& pass, double norm2) {
  const MatrixView<const float>& g = pass.block.output.rows;
  const Augmented<float> target = augmented(pass.u, pass.block.input);
  const Split split = Split::columns(target.body.cols, product_flops(g.rows, g.cols, target.body.cols));
  norm2 += sum_over(split, [&](std::size_t at, std::size_t count) {
    const MatrixView<const float> part = pass.v.body.columns(at, count);
    blas::gemm(pass.scale, g, part, 0.0F, target.body.columns(at, count));
    return square(part);
  });
  if (target.has_last()) blas::gemm(pass.scale, g, pass.v.last, 0.0F, target.last);
  return norm2;
}

// U = v [a l]ᵀ, the output side being a covariance
double project_input_side(const Projection& pass, double norm2) {
  const MatrixView<float>& u = pass.u;
  const Split split = Split::columns(u.rows, product_flops(u.rows, pass.v.body.cols, u.cols));
  return norm2 + sum_over(split, [&](std::size_t at, std::size_t count) {
           const Augmented<const float> part = pass.v.rows(at, count);
           multiply_rows_transposed(pass.scale, part, pass.block.input, u.rows_from(at, count));
           return square(part.body);
         });
}

// U = v
void copy_to(const Projection& pass) {
  const Augmented<float> target = augmented(pass.u, pass.block.input);
  for (std::size_t i = 0; i < pass.u.rows; ++i) {
    for (std::size_t j = 0; j < target.body.cols; ++j) target.body(i, j) = pass.v.body(i, j);
    if (target.has_last()) target.last(i, 0) = pass.v.last(i, 0);
  }
}

}  // namespace

double project(const FisherBlock& block, const BlockForms& forms, const WeightView<const float>& v, MatrixView<float> u,
               std::span<float> scratch) {
  const double scale = panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output);
  const Projection pass{
      .block = block, .v = augmented(v), .scale = static_cast<float>(scale), .u = u, .scratch = scratch};
  const double bias_norm2 = v.bias.empty() ? 0 : blas::dot(v.bias, v.bias);
  if (forms.panels()) {
    return project_output_first(block) ? project_output_side_first(pass, bias_norm2)
                                       : project_input_side_first(pass, bias_norm2);
  }
  if (forms.output_panel()) return project_output_side(pass, bias_norm2);
  if (forms.input_panel()) return project_input_side(pass, bias_norm2);
  copy_to(pass);
  return bias_norm2 + dot_in_pieces(v.kernel.elements(), v.kernel.elements());
}

}  // namespace cgfac
