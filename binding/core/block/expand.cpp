#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/block/augmented.h"
#include "core/block/finite.h"
#include "core/block/pass_order.h"
#include "core/block/passes.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// What goes into `out` before a product is added, keep·out + σ·v: prepares a part of it and gives the β of that
// product.
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
    return sigma == 0.0F ? keep : prepare(v.rows(first, count), out);
  }
  [[nodiscard]] float columns(std::size_t first, std::size_t count, const Augmented<float>& out) const {
    return sigma == 0.0F ? keep : prepare(v.columns(first, count), out);
  }
  [[nodiscard]] float last(const MatrixView<float>& out) const {
    if (sigma == 0.0F) return keep;
    combine(sigma, v.last, keep, out);
    return 1;
  }
};

// What every form of the pass reads, and where it writes: out ← addend + α g' C a', g' and a' being rows or nothing.
struct Expansion {
  const FisherBlock& block;
  float alpha;
  MatrixView<const float> c;
  Augmented<float> out;
  std::span<float> scratch;
};

// Error(not_finite) unless every product of the pass stays within float32: ‖[a l]‖_F and ‖g‖_F bound each in turn.
void require_range(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, double factor,
                   double norm_c) {
  const double norm_input = forms.input_panel() ? std::sqrt(traces.input / block.input.scale) : 1;
  const double norm_output = forms.output_panel() ? std::sqrt(traces.output / block.output.scale) : 1;
  const double bound = std::abs(factor) * norm_c * std::max(1.0, norm_input) * std::max(1.0, norm_output);
  if (!(bound <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
}

// out ← keep·out + (own·g_vᵀ + α gᵀ C) [a l], a chunk of rows of out at a time
void expand_own_gradient(const Expansion& pass, MatrixView<const float> loss_grads, float own, float keep) {
  const MatrixView<const float>& a = pass.block.input.rows;
  const std::size_t m = pass.block.rows();
  const std::size_t chunk = chunk_of(m, a.rows, pass.scratch.size());
  for (std::size_t first = 0; first < m; first += chunk) {
    const std::size_t height = std::min(chunk, m - first);
    const MatrixView<float> z(pass.scratch.data(), a.rows, height);  // its rows are samples, as those of g_v
    const Split split = Split::columns(height, product_flops(height, a.rows, a.cols));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      const std::size_t count = split.count(i);
      const MatrixView<float> part = z.columns(split.first(i), count);
      combine(own, loss_grads.columns(at, count), 0.0F, part);
      blas::gemm(pass.alpha, pass.c.transposed(), pass.block.output.rows.columns(at, count), 1.0F, part);
      multiply_rows(1.0F, part.transposed(), pass.block.input, keep, pass.out.rows(at, count));
    });
  }
}

// out ← addend + α (gᵀ C) [a l], a chunk of rows of out at a time
void expand_output_side_first(const Expansion& pass, const Addend& addend) {
  const MatrixView<const float>& a = pass.block.input.rows;
  const MatrixView<const float> g_transposed = pass.block.output.rows.transposed();
  const std::size_t m = g_transposed.rows;
  const std::size_t chunk = chunk_of(m, a.rows, pass.scratch.size());
  for (std::size_t first = 0; first < m; first += chunk) {
    const std::size_t height = std::min(chunk, m - first);
    const MatrixView<float> gc(pass.scratch.data(), height, a.rows);
    const Split split = Split::columns(height, product_flops(height, a.rows, a.cols));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      const std::size_t count = split.count(i);
      const MatrixView<float> part = gc.rows_from(split.first(i), count);
      const Augmented<float> out = pass.out.rows(at, count);
      const float beta = addend.rows(at, count, out);
      blas::gemm(pass.alpha, g_transposed.rows_from(at, count), pass.c, 0.0F, part);
      multiply_rows(1.0F, part, pass.block.input, beta, out);
    });
  }
}

// out ← addend + α gᵀ (C a), a chunk of columns of out at a time, and its last column + α gᵀ (C l)
void expand_input_side_first(const Expansion& pass, const Addend& addend) {
  const MatrixView<const float>& a = pass.block.input.rows;
  const MatrixView<const float> g_transposed = pass.block.output.rows.transposed();
  const std::size_t output_rows = g_transposed.cols;
  const std::size_t chunk = chunk_of(a.cols, output_rows, pass.scratch.size());
  for (std::size_t first = 0; first < a.cols; first += chunk) {
    const std::size_t width = std::min(chunk, a.cols - first);
    const MatrixView<float> ca(pass.scratch.data(), output_rows, width);
    const Split split = Split::columns(width, product_flops(g_transposed.rows, output_rows, width));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      const std::size_t count = split.count(i);
      const MatrixView<float> part = ca.columns(split.first(i), count);
      const Augmented<float> out = pass.out.columns(at, count);
      const float beta = addend.columns(at, count, out);
      blas::gemm(pass.alpha, pass.c, a.columns(at, count), 0.0F, part);
      blas::gemm(1.0F, g_transposed, part, beta, out.body);
    });
  }
  if (!pass.out.has_last()) return;
  const MatrixView<float> products(pass.scratch.data(), output_rows, 1);
  multiply_last(pass.alpha, pass.c, pass.block.input, 0.0F, products);
  const float beta = addend.last(pass.out.last);
  blas::gemm(1.0F, g_transposed, products, beta, pass.out.last);
}

// out ← addend + α P_g C P_aᵀ with P = I on a covariance side: each row of out on its own
void expand_covariance(const Expansion& pass, const BlockForms& forms, const Addend& addend) {
  const std::size_t m = pass.block.rows();
  const std::size_t in_features = pass.block.input.features();
  const MatrixView<const float> g_transposed = pass.block.output.rows.transposed();
  const MatrixView<const float>& c = pass.c;
  const Augmented<const float> body =
      forms.input_panel() ? Augmented<const float>{.body = c, .last = {}} : augmented(c, pass.block.input);
  const Split split = Split::columns(m, product_flops(m, c.rows, c.cols) + product_flops(m, in_features, 8));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t at = split.first(i);
    const std::size_t count = split.count(i);
    const Augmented<float> out = pass.out.rows(at, count);
    const float beta = addend.rows(at, count, out);
    if (forms.output_panel()) {
      multiply_left(pass.alpha, g_transposed.rows_from(at, count), body, beta, out);
    } else if (forms.input_panel()) {
      multiply_rows(pass.alpha, c.rows_from(at, count), pass.block.input, beta, out);
    } else {
      const Augmented<const float> from = body.rows(at, count);
      combine(pass.alpha, from.body, beta, out.body);
      if (out.has_last()) combine(pass.alpha, from.last, beta, out.last);
    }
  });
}

}  // namespace

void expand(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, double s,
            const Gradient& gradient, MatrixView<const float> c, double norm_c, const Destination& destination,
            std::span<float> scratch) {
  const double scale =
      destination.factor * panel_scale(block.input, forms.input) * panel_scale(block.output, forms.output);
  require_range(block, forms, traces, scale, norm_c);
  const Expansion pass{.block = block,
                       .alpha = static_cast<float>(scale),
                       .c = c,
                       .out = augmented(destination.out),
                       .scratch = scratch};
  const double multiple = s * destination.factor;
  if (gradient.same_batch() && s != 0) {
    if (!(forms.panels() && has_block_inputs(block, gradient)))
      throw Error(ErrorCode::shape_mismatch,
                  "Expected a batch's own gradient of the block's rows but received another");
    expand_own_gradient(pass, gradient.loss_grads, static_cast<float>(multiple * gradient.scale),
                        static_cast<float>(destination.keep));
    return;
  }
  const bool in_place = !gradient.same_batch() && gradient.v.kernel.data == destination.out.kernel.data;
  const Addend addend{.v = augmented(gradient.v),
                      .sigma = in_place ? 0.0F : static_cast<float>(multiple),
                      .keep = static_cast<float>(destination.keep + (in_place ? multiple : 0))};
  if (!forms.panels()) {
    expand_covariance(pass, forms, addend);
  } else if (expand_output_first(block)) {
    expand_output_side_first(pass, addend);
  } else {
    expand_input_side_first(pass, addend);
  }
}

}  // namespace cgfac
