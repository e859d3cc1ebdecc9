// The batch's own gradient under factored damping: v is never formed, and x is one product of its size.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/passes.h"
#include "core/block/solution.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"
#include "core/operator/gram_matrices.h"
#include "core/operator/gram_problem.h"
#include "core/solver/woodbury_inverses.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

struct OwnProblem {
  const FisherBlock& block;
  const FactoredDamping& damping;
  const Gradient& gradient;
  const Destination& destination;
  const WoodburyInverses& inverses;

  [[nodiscard]] std::size_t batch() const { return block.input.count(); }
  [[nodiscard]] std::size_t fisher_rows() const { return block.output.count(); }
  // v = κ P_g P_aᵀ: the gradient's rows are those of G
  [[nodiscard]] bool same() const { return empirical(block, gradient); }
};

struct OwnProducts {
  SolutionProducts products;
  double loss_grads_norm2 = 0;  // ‖g_v‖²
};

// (I − γS)/scale: K S in units of the rows' own products, [a 1][a 1]ᵀ S; where γ is so large that this cancels, S is
// I/γ to float32
void complement(const InverseView& inverse, double trace, MatrixView<float> out) {
  const MatrixView<const double> s = inverse.s;
  const double gamma = inverse.gamma;
  const double scale = inverse.side.scale;
  if (gamma > 0x1p26 * trace) {
    blas::gram(static_cast<float>(1 / gamma), inverse.side.rows, out);
    if (!inverse.side.homogeneous) return;
    for (std::size_t i = 0; i < out.rows; ++i) {
      const double last = inverse.side.last_coordinate(i) / gamma;
      for (std::size_t j = 0; j < out.cols; ++j)
        out(i, j) += static_cast<float>(last * inverse.side.last_coordinate(j));
    }
    return;
  }
  const double factor = -gamma / scale;
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] = static_cast<float>(factor * s.data[i]);
  for (std::size_t i = 0; i < out.rows; ++i) out(i, i) = static_cast<float>((1 - (gamma * s(i, i))) / scale);
}

// ⟨v, x⟩ = scale²·⟨G_r, A_r⟩ and xᵀFx = scale_g·scale_a·scale²·‖G_r A_r‖² with A_r = Z_a aᵀ and G_r alike
SolutionProducts empirical_products(const OwnProblem& problem, const BlockTraces& traces,
                                    MatrixView<const float> input_rest, Carver& memory) {
  const FisherBlock& block = problem.block;
  const double scale = problem.gradient.scale;
  const MatrixView<float> output_rest = memory.floats(problem.fisher_rows(), problem.batch());
  const MatrixView<float> product = memory.floats(problem.fisher_rows(), problem.batch());
  complement(problem.inverses.output, traces.output, output_rest);
  gemm_in_tiles(1.0F, output_rest, input_rest, 0.0F, product);
  const double vx = blas::dot(std::span<const float>(output_rest.elements()), input_rest.elements());
  return {.vx = scale * scale * vx,
          .xfx = block.output.scale * block.input.scale * scale * scale * blas::square(product.elements())};
}

// With M = S_g P_gᵀ g_vᵀ (√scale_g M goes to `subtracted`):
//   ⟨v, x⟩ = scale²/γ_G · (⟨g_v g_vᵀ, A_r⟩ − ⟨g g_vᵀ, √scale_g M A_r⟩),  xᵀFx from the last product
OwnProducts true_products(const OwnProblem& problem, MatrixView<const float> input_rest, MatrixView<float> subtracted,
                          Carver& memory) {
  const FisherBlock& block = problem.block;
  const double scale = problem.gradient.scale;
  const std::size_t batch = problem.batch();
  const std::size_t rows = problem.fisher_rows();
  const MatrixView<float> cross = memory.floats(rows, batch);  // g g_vᵀ
  const MatrixView<float> own = memory.floats(batch, batch);   // g_v g_vᵀ
  form_cross(block.output.rows, problem.gradient.loss_grads, cross, own);
  {
    Carver temporary(memory.rest());
    const MatrixView<double> wide = temporary.doubles(rows, batch);
    const MatrixView<double> middle = temporary.doubles(rows, batch);
    widen(cross, wide);
    gemm_in_tiles(block.output.scale, problem.inverses.output.s, wide, 0.0, middle);
    narrow(middle, subtracted);
  }
  const MatrixView<float> product = memory.floats(rows, batch);
  gemm_in_tiles(1.0F, subtracted, input_rest, 0.0F, product);
  const double crossed = blas::dot(std::span<const float>(cross.elements()), product.elements());
  OwnProducts result;
  result.products.vx = scale * scale / problem.damping.output * (dot_of_lower(own, input_rest) - crossed);
  result.products.xfx = scale * scale * block.input.scale / block.output.scale * blas::square(product.elements());
  result.loss_grads_norm2 = trace(own);
  return result;
}

OwnProducts own_products(const OwnProblem& problem, const BlockTraces& traces, MatrixView<float> subtracted,
                         std::span<double> scratch) {
  const FisherBlock& block = problem.block;
  Carver memory(scratch);
  const MatrixView<float> input_rest = memory.floats(problem.batch(), problem.batch());
  complement(problem.inverses.input, traces.input, input_rest);
  OwnProducts result;
  if (problem.same()) {
    result = {.products = empirical_products(problem, traces, input_rest, memory),
              .loss_grads_norm2 = traces.output / block.output.scale};
  } else {
    result = true_products(problem, input_rest, subtracted, memory);
  }
  if (!std::isfinite(result.products.vx + result.products.xfx)) {
    require_finite("lossGrads", problem.gradient.loss_grads.elements());
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs, outputGrads and lossGrads",
                   "an overflow");
  }
  return result;
}

// What x is multiplied together from. The rows are multiplied by one inverse after the other, in float32: the product
// of both in float32 would lose √(K_a K_g/(γ_A γ_G))·2⁻²⁴, each alone loses the square root of that.
struct OwnRows {
  MatrixView<float> input_inverse;   // S_a
  MatrixView<float> output_inverse;  // S_g, under the empirical Fisher
  MatrixView<float> subtracted;      // √scale_g M, where g_v is not g
  std::span<float> scratch;
  std::size_t widths = 1;  // numbers of scratch for a column of g or of a

  // Columns at a time: as many as fit in so much memory, at least `smallest_chunk`.
  [[nodiscard]] std::size_t chunk(std::size_t extent, std::size_t memory) const {
    return std::clamp(memory / widths / smallest_chunk * smallest_chunk, smallest_chunk,
                      std::max(extent, smallest_chunk));
  }
};

WeightView<float> rows_of(const WeightView<float>& v, std::size_t first, std::size_t count) {
  return {v.kernel.rows_from(first, count), v.bias.empty() ? v.bias : v.bias.subspan(first, count)};
}

// x = gᵀ (κ S_g S_a [a 1]), a chunk of columns at a time
void write_by_columns(const OwnProblem& problem, const OwnRows& rows) {
  const FisherBlock& block = problem.block;
  const Destination& destination = problem.destination;
  const auto own_factor = static_cast<float>(problem.gradient.scale * destination.factor);
  const auto keep = static_cast<float>(destination.keep);
  const std::size_t batch = problem.batch();
  const std::size_t m = block.rows();
  const std::size_t in_features = block.input.features();
  const MatrixView<const float> g_transposed = block.output.rows.transposed();
  const auto multiply = [&](MatrixView<const float> inputs, float* memory, MatrixView<float> out) {
    const MatrixView<float> first(memory, batch, inputs.cols);
    const MatrixView<float> second(memory + first.size(), problem.fisher_rows(), inputs.cols);
    blas::gemm(own_factor, rows.input_inverse, inputs, 0.0F, first);
    blas::gemm(1.0F, rows.output_inverse, first, 0.0F, second);
    blas::gemm(1.0F, g_transposed, second, keep, out);
  };
  const std::size_t width = rows.chunk(in_features, rows.scratch.size());
  for (std::size_t first = 0; first < in_features; first += width) {
    const std::size_t columns = std::min(width, in_features - first);
    const Split split = Split::columns(columns, product_flops(m, problem.fisher_rows(), columns));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      multiply(block.input.rows.columns(at, split.count(i)), rows.scratch.data() + (rows.widths * split.first(i)),
               destination.out.kernel.columns(at, split.count(i)));
    });
  }
  if (block.input.homogeneous) {
    std::vector<float> last(batch);
    for (std::size_t i = 0; i < batch; ++i) last[i] = static_cast<float>(block.input.last_coordinate(i));
    multiply({last.data(), batch, 1}, rows.scratch.data(), {destination.out.bias.data(), m, 1});
  }
}

// Z_a ← S_a [a 1]
void form_inputs(const FisherBlock& block, MatrixView<const float> inverse, MatrixView<float> z_a) {
  const std::size_t batch = z_a.rows;
  const std::size_t in_features = block.input.features();
  const Split split = Split::columns(in_features, product_flops(batch, batch, in_features));
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0F, inverse, block.input.rows.columns(split.first(i), split.count(i)), 0.0F,
               z_a.columns(split.first(i), split.count(i)));
  });
  for (std::size_t row = 0; block.input.homogeneous && row < batch; ++row) {
    double sum = 0;
    for (std::size_t j = 0; j < batch; ++j)
      sum += static_cast<double>(inverse(row, j)) * block.input.last_coordinate(j);
    z_a(row, in_features) = static_cast<float>(sum);
  }
}

// between ← own_factor · S_g g, or own_factor · (g_v − √scale_g Mᵀ g), some columns of g
void form_outputs(const OwnProblem& problem, const OwnRows& rows, std::size_t at, float own_factor,
                  MatrixView<float> between) {
  const MatrixView<const float> g = problem.block.output.rows.columns(at, between.cols);
  if (problem.same()) {
    blas::gemm(own_factor, rows.output_inverse, g, 0.0F, between);
    return;
  }
  const MatrixView<const float>& loss_grads = problem.gradient.loss_grads;
  for (std::size_t row = 0; row < between.rows; ++row) {
    std::copy_n(loss_grads.data + (row * loss_grads.row_stride) + at, between.cols,
                between.data + (row * between.cols));
  }
  blas::gemm(-own_factor, rows.subtracted.transposed(), g, own_factor, between);
}

// out ← keep·out + zᵀ [a 1] for some rows of out
void multiply_inputs(const FisherBlock& block, MatrixView<const float> z, float keep, const WeightView<float>& out) {
  blas::gemm(1.0F, z.transposed(), block.input.rows, keep, out.kernel);
  for (std::size_t j = 0; j < out.bias.size(); ++j) {
    double sum = 0;
    for (std::size_t row = 0; row < z.rows; ++row)
      sum += static_cast<double>(z(row, j)) * block.input.last_coordinate(row);
    out.bias[j] = (keep == 0.0F ? 0.0F : keep * out.bias[j]) + static_cast<float>(sum);
  }
}

// x = zᵀ [a 1] with z, batch × m, a chunk of columns of g at a time, one of
//   κ S_a S_g g                                     under the empirical Fisher
//   S_a (g_v − √scale_g Mᵀ g)·scale/γ_G
// or, where [a 1] is the narrower side and there is room for Z_a = S_a [a 1], x = (z without S_a)ᵀ Z_a.
void write_by_rows(const OwnProblem& problem, const OwnRows& rows) {
  const FisherBlock& block = problem.block;
  const bool same = problem.same();
  const std::size_t batch = problem.batch();
  const std::size_t n = block.cols();
  const std::size_t m = block.rows();
  const std::size_t in_features = block.input.features();
  const double scale = problem.gradient.scale * problem.destination.factor;
  const auto own_factor = static_cast<float>(same ? scale : scale / problem.damping.output);
  const auto keep = static_cast<float>(problem.destination.keep);
  const bool inputs_first = !same && n < m && (batch * n) + (2 * smallest_chunk * batch) <= rows.scratch.size();
  const MatrixView<float> z_a(rows.scratch.data(), batch, inputs_first ? n : 0);
  if (inputs_first) form_inputs(block, rows.input_inverse, z_a);
  const std::span<float> rest = rows.scratch.subspan(z_a.size());
  const std::size_t height = rows.chunk(m, rest.size());
  for (std::size_t first = 0; first < m; first += height) {
    const std::size_t lines = std::min(height, m - first);
    const Split split = Split::columns(lines, product_flops(lines, batch, in_features));
    parallel_for(split.blocks(), [&](std::size_t i) {
      const std::size_t at = first + split.first(i);
      const std::size_t count = split.count(i);
      const MatrixView<float> z(rest.data() + (rows.widths * split.first(i)), batch, count);
      const MatrixView<float> between(z.data + z.size(), same ? problem.fisher_rows() : batch, count);
      form_outputs(problem, rows, at, own_factor, between);
      const WeightView<float> out = rows_of(problem.destination.out, at, count);
      if (!inputs_first) {
        blas::gemm(1.0F, rows.input_inverse, between, 0.0F, z);
        multiply_inputs(block, z, keep, out);
        return;
      }
      blas::gemm(1.0F, between.transposed(), z_a.columns(0, in_features), keep, out.kernel);
      if (block.input.homogeneous) {
        blas::gemm(1.0F, between.transposed(), z_a.columns(in_features, 1), keep, {out.bias.data(), count, 1});
      }
    });
  }
}

}  // namespace

SolutionProducts solve_own(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                           const Gradient& gradient, const Destination& destination, GramWorkspace& workspace) {
  const std::size_t batch = block.input.count();
  const std::size_t fisher_rows = block.output.count();
  const std::size_t widest = std::max(batch, fisher_rows);
  const std::size_t least = (4 * widest * widest) + 16 + (2 * smallest_chunk * widest);
  const std::size_t limit = GramProblem::arena_numbers(widest) - (2 * widest * widest);
  const WoodburyInverses inverses = woodbury_inverses(block, damping, std::max(limit, least), workspace);
  const OwnProblem problem{
      .block = block, .damping = damping, .gradient = gradient, .destination = destination, .inverses = inverses};
  const bool same = problem.same();

  Carver carver(inverses.scratch);
  OwnRows rows;
  if (!same) rows.subtracted = carver.floats(fisher_rows, batch);
  const OwnProducts own = own_products(problem, traces, rows.subtracted, carver.rest());
  // ‖g_v‖ and ‖[a 1]‖, each divided by its γ, bound every product below; a scaled solution is looked at when it is
  // written where it belongs
  if (!gradient.scaled) {
    require_range(gradient.scale * std::sqrt(own.loss_grads_norm2) *
                      std::max(1.0, std::sqrt(traces.input / block.input.scale)) *
                      std::max(1.0, std::sqrt(traces.output / block.output.scale)),
                  damping, destination);
  }

  rows.input_inverse = carver.floats(batch, batch);
  rows.output_inverse = carver.floats(fisher_rows, same ? fisher_rows : 0);
  narrow(inverses.input.s, rows.input_inverse);
  if (same) narrow(inverses.output.s, rows.output_inverse);
  rows.scratch = as_floats(carver.rest());
  rows.widths = std::max<std::size_t>(same ? batch + fisher_rows : 2 * batch, 1);
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  if (same && (n < m || (n == m && block.layout == KernelLayout::in_out))) {
    write_by_columns(problem, rows);
  } else {
    write_by_rows(problem, rows);
  }
  return own.products;
}

}  // namespace cgfac
