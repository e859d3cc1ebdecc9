#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/scattered.h"
#include "core/block/weight_vector.h"
#include "core/factor/factor.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/linalg/symmetric.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Directions whose share of a panel is rounding
constexpr double negligible = 1e-12;

// Row `from` of a side to a row of its dimension, the homogeneous coordinate written out, times a factor.
void copy_row(const Side& side, std::size_t from, float factor, float* to) {
  const float* const row = side.rows.data + (from * side.rows.row_stride);
  for (std::size_t j = 0; j < side.features(); ++j) to[j] = factor * row[j];
  if (side.homogeneous) to[side.features()] = factor;
}

// β_k = 1 − (1 − δ)/(1 − δ^k), the share of an average's k-th refresh that is what was there
double share_kept(double decay, std::size_t refreshes) {
  const double before = decay * (1 - std::pow(decay, static_cast<double>(refreshes)));
  return refreshes == 0 ? 0 : before / (before + 1 - decay);
}

// The last row of average ← β·average + weight·R'ᵀR', which belongs to the homogeneous coordinate: weight·Rᵀ1, weight·N
void average_last_row(const Side& rows, double share, double weight, const MatrixView<float>& average) {
  const std::size_t features = rows.features();
  const auto decay = static_cast<float>(share);
  float* const last = average.data + (features * average.row_stride);
  std::vector<double> sums(features);
  for (std::size_t i = 0; i < rows.count(); ++i) {
    for (std::size_t j = 0; j < features; ++j) sums[j] += static_cast<double>(rows.rows(i, j));
  }
  for (std::size_t j = 0; j < features; ++j) last[j] = (decay * last[j]) + static_cast<float>(weight * sums[j]);
  last[features] = (decay * last[features]) + static_cast<float>(weight * static_cast<double>(rows.count()));
}

}  // namespace

// average ← β·average + (1 − β)·scale·R'ᵀR', N·d² flops
void Factor::refresh_average(const Fresh& fresh) {
  const Side& rows = fresh.rows;
  const std::size_t d = dimension();
  const double share = share_kept(options_.decay, now_.refreshes);
  const double weight = rows.scale * (1 - share);
  const MatrixView<float> average = other_.average.matrix(d, d);
  if (now_.refreshes > 0) {
    std::ranges::copy(now_.average.held(d * d), average.data);
  } else {
    std::ranges::fill(average.elements(), 0.0F);
  }
  const MatrixView<const float> x = rows.rows.transposed();
  const MatrixView<float> body(average.data, features_, features_, d, 1);
  const Split split = Split::columns(features_, static_cast<double>(features_) * static_cast<double>(x.size()));
  const std::size_t last_piece = split.blocks() - 1;
  parallel_for(split.blocks(), [&](std::size_t i) {  // the longest rows first
    blas::gram_rows(static_cast<float>(weight), x, static_cast<float>(share), body, split.first(last_piece - i),
                    split.count(last_piece - i));
  });
  if (homogeneous_) average_last_row(rows, share, weight, average);
  mirror_lower(average);
  other_.count = 0;
  other_.rows_taken = rows.count();
  other_.trace = 0;
  for (std::size_t i = 0; i < d; ++i) other_.trace += static_cast<double>(average(i, i));
}

// average ← β·average + (1 − β)·scale·Σ r², number by number
void Factor::refresh_diagonal(const Fresh& fresh) {
  const Side& rows = fresh.rows;
  const double share = share_kept(options_.decay, now_.refreshes);
  const double weight = rows.scale * (1 - share);
  const std::span<float> average = other_.average.span(dimension());
  const std::span<const float> before = now_.refreshes > 0 ? now_.average.held(dimension()) : std::span<const float>();
  other_.trace = 0;
  for (std::size_t j = 0; j < average.size(); ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < rows.count(); ++i) {
      const double number = j < features_ ? static_cast<double>(rows.rows(i, j)) : rows.last_coordinate(i);
      sum += number * number;
    }
    const double kept = before.empty() ? 0 : share * static_cast<double>(before[j]);
    average[j] = static_cast<float>(kept + (weight * sum));
    other_.trace += static_cast<double>(average[j]);
  }
  other_.count = 0;
  other_.rows_taken = rows.count();
}

// average ← β·average + (1 − β)·scale·Σ rᵀr of each block's part r of a row
void Factor::refresh_blocks(const Fresh& fresh) {
  const Side& rows = fresh.rows;
  const FactorBlocks& blocks = options_.blocks;
  const std::size_t side = block_side();
  const std::size_t stored = features_ / blocks.count;  // the homogeneous coordinate is not
  const double share = share_kept(options_.decay, now_.refreshes);
  const double weight = rows.scale * (1 - share);
  const std::span<float> average = other_.average.span(average_size());
  const std::span<const float> before =
      now_.refreshes > 0 ? now_.average.held(average_size()) : std::span<const float>();
  std::vector<double> traces(blocks.count);
  const double flops = product_flops(rows.count(), side, side * blocks.count);
  parallel_for(blocks.count, flops, [&](std::size_t c) {
    std::vector<double> sums(side * side);
    std::vector<double> part(side, 1);
    for (std::size_t i = 0; i < rows.count(); ++i) {
      for (std::size_t j = 0; j < stored; ++j)
        part[j] = static_cast<double>(rows.rows(i, blocks.interleaved ? (j * blocks.count) + c : (c * stored) + j));
      for (std::size_t j = 0; j < side; ++j) {
        for (std::size_t k = 0; k <= j; ++k) sums[(j * side) + k] += part[j] * part[k];
      }
    }
    for (std::size_t j = 0; j < side; ++j) {
      for (std::size_t k = 0; k < side; ++k) {
        const std::size_t place = (c * side * side) + (j * side) + k;
        const double kept = before.empty() ? 0 : share * static_cast<double>(before[place]);
        average[place] = static_cast<float>(kept + (weight * sums[(std::max(j, k) * side) + std::min(j, k)]));
        if (j == k) traces[c] += static_cast<double>(average[place]);
      }
    }
  });
  other_.trace = 0;
  for (const double trace : traces) other_.trace += trace;
  other_.count = 0;
  other_.rows_taken = rows.count();
}

// average ← β·average + (1 − β)·given
void Factor::refresh_given(const Fresh& fresh) {
  if (average_size() != fresh.average.size())
    throw expected(ErrorCode::shape_mismatch, "a factor like this one", "a factor that is given", "another");
  const double share = share_kept(options_.decay, now_.refreshes);
  const std::span<float> average = other_.average.span(average_size());
  const std::span<const float> before =
      now_.refreshes > 0 ? now_.average.held(average_size()) : std::span<const float>();
  for (std::size_t i = 0; i < average.size(); ++i) {
    const double kept = before.empty() ? 0 : share * static_cast<double>(before[i]);
    average[i] = static_cast<float>(kept + ((1 - share) * static_cast<double>(fresh.average[i])));
  }
  const std::size_t side = options_.blocks.count > 0 ? block_side() : dimension();
  other_.trace = 0;
  for (std::size_t i = 0; i < average.size(); ++i) {
    if (options_.diagonal || i / side % side == i % side) other_.trace += static_cast<double>(average[i]);
  }
  other_.count = 0;
  other_.rows_taken = fresh.rows.count();
}

// [√β·P ; √((1 − β)·scale·N/b)·S]: a row S from each stretch, another one at each refresh, because rows of a sequence
// or an image repeat a pattern of positions.
MatrixView<float> Factor::stacked(const Fresh& fresh, double share, std::size_t taken) {
  const Side& rows = fresh.rows;
  const std::size_t d = dimension();
  const std::size_t old = now_.count;
  const auto count = static_cast<double>(rows.count());
  const std::size_t all = old + taken;
  const MatrixView<float> stack(single_.span((all * d) + (all * all)).data(), all, d);
  const auto keep = static_cast<float>(std::sqrt(share));
  const std::span<const float> panel = now_.rows.held(old * d);
  for (std::size_t i = 0; i < panel.size(); ++i) stack.data[i] = keep * panel[i];
  const auto weight = static_cast<float>(std::sqrt((1 - share) * rows.scale * count / static_cast<double>(taken)));
  for (std::size_t i = 0; i < taken; ++i) {
    const double place = static_cast<double>(i) + (taken < rows.count() ? scattered(now_.refreshes, i) : 0);
    const auto from = static_cast<std::size_t>(place * count / static_cast<double>(taken));
    copy_row(rows, std::min(from, rows.count() - 1), weight, stack.data + ((old + i) * d));
  }
  return stack;
}

// P = Vᵀ [stack] with the leading eigenvectors V of stack·stackᵀ, the largest first
void Factor::keep_leading(MatrixView<const float> stack, MatrixView<float> gram) {
  const std::size_t d = dimension();
  const std::size_t all = stack.rows;
  const std::size_t rank = std::min({options_.rank, all, d});
  const std::span<double> work = work_.span((all * all) + all + blas::eigen_work(all));
  const MatrixView<double> vectors(work.data(), all, all);
  const std::span<double> values = work.subspan(vectors.size(), all);
  widen_lower(gram, vectors);
  blas::eigen(vectors, values, work.subspan(vectors.size() + all));
  other_.squares.assign(rank, 0);
  const MatrixView<float> leading(gram.data, rank, all);
  for (std::size_t k = 0; k < rank; ++k) {
    const std::size_t from = all - 1 - k;  // rows of V are the eigenvectors, ascending
    const bool kept = values[from] > negligible * values[all - 1];
    other_.squares[k] = kept ? values[from] : 0;
    for (std::size_t j = 0; j < all; ++j) leading(k, j) = kept ? static_cast<float>(vectors(from, j)) : 0.0F;
  }
  const MatrixView<float> next = other_.rows.matrix(rank, d);
  const Split split = Split::columns(d, product_flops(rank, all, d));
  parallel_for(split.blocks(), [&](std::size_t i) {
    blas::gemm(1.0F, leading, stack.columns(split.first(i), split.count(i)), 0.0F,
               next.columns(split.first(i), split.count(i)));
  });
  other_.count = rank;
}

// A first batch enters with as many rows as the panel and its additions have room for.
void Factor::refresh_panel(const Fresh& fresh) {
  const double share = share_kept(options_.decay, now_.refreshes);
  const std::size_t room = now_.count > 0 ? options_.panel_rows : options_.rank + options_.panel_rows;
  const MatrixView<float> stack = stacked(fresh, share, std::min(fresh.rows.count(), room));
  const MatrixView<float> gram(stack.data + stack.size(), stack.rows, stack.rows);
  gram_in_pieces(1, stack, gram);
  keep_leading(stack, gram);
  other_.rows_taken = fresh.rows.count();
  other_.trace = (share * now_.trace) + ((1 - share) * fresh.trace);
}

}  // namespace cgfac
