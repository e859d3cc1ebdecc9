#include "core/kernels/matrix_product.h"

#include <algorithm>
#include <span>

#include "core/base/error.h"
#include "core/kernels/element_wise.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// The numbers of a row of the block: `step` is 0 where one stands for all.
struct BroadcastRow {
  const float* data;
  std::size_t step;
};

BroadcastRow row_of(const Broadcast& numbers, const Place& place, std::size_t i) {
  const std::size_t offset =
      (place.pair * numbers.batch_step) + ((place.row + i) * numbers.row_step) + (place.col * numbers.col_step);
  return {.data = numbers.data + offset, .step = numbers.col_step};
}

// x ← φ(x) in every place; comparisons are written so that NaN stays NaN.
template <typename Phi>
void transform(MatrixView<float> c, Phi phi) {
  for (std::size_t i = 0; i < c.rows; ++i) {
    float* const x = c.data + (i * c.row_stride);
    for (std::size_t j = 0; j < c.cols; ++j) x[j] = phi(x[j]);
  }
}

void transform(MatrixView<float> c, ElementWise phi) {
  for (std::size_t i = 0; i < c.rows; ++i) {
    const std::span<float> row(c.data + (i * c.row_stride), c.cols);
    element_wise_here(phi, row, row);
  }
}

void apply_slopes(const Broadcast& slopes, const Place& place, MatrixView<float> c) {
  for (std::size_t i = 0; i < c.rows; ++i) {
    const BroadcastRow alpha = row_of(slopes, place, i);
    float* const x = c.data + (i * c.row_stride);
    for (std::size_t j = 0; j < c.cols; ++j) x[j] = x[j] < 0 ? alpha.data[j * alpha.step] * x[j] : x[j];
  }
}

// Results without blocks of their own are taken several at a time: at most so many turns.
constexpr std::size_t most_turns = 64;

}  // namespace

void fill_bias(const Broadcast& bias, const Place& place, MatrixView<float> c) {
  for (std::size_t i = 0; i < c.rows; ++i) {
    const BroadcastRow row = row_of(bias, place, i);
    float* const to = c.data + (i * c.row_stride);
    if (row.step == 1) {
      std::copy_n(row.data, c.cols, to);
    } else {
      std::fill_n(to, c.cols, *row.data);
    }
  }
}

void activate(const Epilogue& epilogue, const Place& place, MatrixView<float> c) {
  switch (epilogue.activation) {
    case Activation::linear:
      return;
    case Activation::relu:
      transform(c, [](float x) { return x < 0 ? 0.0F : x; });
      return;
    case Activation::relu6:
      transform(c, [](float x) {
        const float above = x < 0 ? 0.0F : x;
        return above > 6 ? 6.0F : above;
      });
      return;
    case Activation::prelu:
      apply_slopes(epilogue.slopes, place, c);
      return;
    case Activation::leaky_relu:
      transform(c, [alpha = epilogue.slope](float x) { return x < 0 ? alpha * x : x; });
      return;
    case Activation::sigmoid:
      transform(c, ElementWise::sigmoid);
      return;
    case Activation::elu:
      transform(c, ElementWise::elu);
      return;
  }
}

void matrix_products(const MatrixBatch& a, const MatrixBatch& b, std::span<const MatrixPair> pairs,
                     const Epilogue& epilogue, std::span<float> out) {
  const std::size_t m = a.first.rows;
  const std::size_t n = b.first.cols;
  if (a.first.cols != b.first.rows || out.size() != pairs.size() * m * n) {
    throw Error(ErrorCode::shape_mismatch, "matrix products of shapes that do not fit");
  }
  const bool by_rows = m >= n;
  const double flops = product_flops(m, a.first.cols, n);
  const Split split = Split::columns(by_rows ? m : n, flops);

  const auto block_of = [&](std::size_t p, std::size_t block) {
    const std::size_t first = split.first(block);
    const std::size_t count = split.count(block);
    MatrixView<const float> left = a.at(pairs[p].a);
    MatrixView<const float> right = b.at(pairs[p].b);
    MatrixView<float> c(out.data() + (p * m * n), m, n);
    left = by_rows ? left.rows_from(first, count) : left;
    right = by_rows ? right : right.columns(first, count);
    c = by_rows ? c.rows_from(first, count) : c.columns(first, count);
    const Place place{.pair = p, .row = by_rows ? first : 0, .col = by_rows ? 0 : first};
    const bool biased = epilogue.bias.data != nullptr;
    if (biased) fill_bias(epilogue.bias, place, c);
    blas::gemm(1.0F, left, right, biased ? 1.0F : 0.0F, c);
    activate(epilogue, place, c);
  };

  const double all = flops * static_cast<double>(pairs.size());
  if (split.blocks() > 1) {
    parallel_for(pairs.size() * split.blocks(), all,
                 [&](std::size_t turn) { block_of(turn / split.blocks(), turn % split.blocks()); });
    return;
  }
  const std::size_t turns = std::min(pairs.size(), most_turns);
  parallel_for(turns, all, [&](std::size_t turn) {
    const std::size_t end = pairs.size() * (turn + 1) / turns;
    for (std::size_t p = pairs.size() * turn / turns; p < end; ++p) block_of(p, 0);
  });
}

}  // namespace cgfac
