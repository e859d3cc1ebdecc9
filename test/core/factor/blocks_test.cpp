// A factor of small blocks: its averages, and their damped inverses.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/factor/damped_inverse.h"
#include "core/factor/factor.h"
#include "support/sides.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// Channels of a depthwise convolution on either side, and those of a normalisation.
struct BlockCase {
  FactorBlocks blocks;
  std::size_t features;
  bool homogeneous;

  [[nodiscard]] std::size_t of_each() const { return features / blocks.count; }
  [[nodiscard]] std::size_t side() const { return of_each() + (homogeneous ? 1 : 0); }
  [[nodiscard]] Factor factor() const { return {features, homogeneous, {.decay = 0.8, .blocks = blocks}}; }
  // Of a block the matrix that rows make of its own coordinates.
  [[nodiscard]] DenseMatrix block_of(std::size_t block, const Side& side) const {
    DenseMatrix rows{.rows = side.count(), .cols = this->side()};
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t j = 0; j < of_each(); ++j) {
        const std::size_t column = blocks.interleaved ? (j * blocks.count) + block : (block * of_each()) + j;
        rows(i, j) = static_cast<double>(side.rows(i, column));
      }
      if (homogeneous) rows(i, of_each()) = 1;
    }
    DenseMatrix result = rows.transposed() * rows;
    for (double& number : result.numbers) number *= side.scale;
    return result;
  }
};

const std::vector<BlockCase> block_cases{{{.count = 3, .interleaved = true}, 12, true},
                                         {{.count = 3, .interleaved = true}, 12, false},
                                         {{.count = 4}, 8, false},
                                         {{.count = 5, .interleaved = true, .one_damping = true}, 10, false},
                                         {{.count = 1}, 3, true}};

struct BlockRows {
  std::vector<float> numbers;
  Side side;

  BlockRows(const BlockCase& blocks, std::uint64_t seed) : numbers(random_numbers<float>(7 * blocks.features, seed)) {
    // blocks of other sizes each
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] *= 1 + static_cast<float>(i % blocks.features);
    side = {.rows = {numbers.data(), 7, blocks.features}, .homogeneous = blocks.homogeneous, .scale = 0.3};
  }
};

void take_in_blocks(Factor& factor, const BlockCase& blocks, std::uint64_t seed) {
  const BlockRows rows(blocks, seed);
  factor.refresh({.rows = rows.side, .trace = trace_of(factor_matrix(rows.side))});
}

std::vector<double> widened_block(MatrixView<const float> matrix) {
  return {matrix.data, matrix.data + matrix.size()};
}

}  // namespace

TEST_CASE("factor of blocks: each is an average that is free of its start") {
  for (const BlockCase& blocks : block_cases) {
    Factor factor = blocks.factor();
    CHECK(factor.block_side() == blocks.side());
    std::vector<DenseAverage> expected(blocks.blocks.count, {.decay = 0.8});
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
      take_in_blocks(factor, blocks, seed);
      double trace = 0;
      for (std::size_t c = 0; c < expected.size(); ++c) {
        expected[c].add(blocks.block_of(c, BlockRows(blocks, seed).side));
        CHECK(relative_error(widened_block(factor.block(c)), expected[c].mean().numbers) <= 1e-6);
        trace += trace_of(expected[c].mean());
      }
      CHECK(factor.moments().trace == doctest::Approx(trace).epsilon(1e-6));
      CHECK(factor.moments().squared == blocks.blocks.one_damping);
    }
  }
}

TEST_CASE("factor of blocks: state, restore and roll-back keep every bit") {
  for (const BlockCase& blocks : block_cases) {
    Factor factor = blocks.factor();
    take_in_blocks(factor, blocks, 1);
    factor.roll_back();
    CHECK_FALSE(factor.started());
    for (const std::uint64_t seed : {1U, 2U}) {
      take_in_blocks(factor, blocks, seed);
      factor.settle();
    }
    const FactorState before = factor.state();
    Factor restored = blocks.factor();
    restored.restore(before);
    CHECK(same_bits(restored.state(), before));
    take_in_blocks(factor, blocks, 3);
    CHECK_FALSE(same_bits(factor.state(), before));
    factor.roll_back();
    CHECK(same_bits(factor.state(), before));
    take_in_blocks(factor, blocks, 4);
    take_in_blocks(restored, blocks, 4);
    CHECK(same_bits(factor.state(), restored.state()));
    FactorState other = before;
    other.average.pop_back();
    CHECK_THROWS_AS(factor.restore(other), Error);
  }
}

TEST_CASE("damped inverse of blocks: each is the inverse of its own matrix with its own damping") {
  for (const BlockCase& blocks : block_cases) {
    Factor factor = blocks.factor();
    take_in_blocks(factor, blocks, 1);
    const double mean = factor.moments().trace / static_cast<double>(blocks.blocks.count);
    for (const bool relative : {false, true}) {
      const double gamma = 0.3 * mean;
      DampedInverse inverse;
      inverse.damp(factor, gamma, relative);
      for (std::size_t c = 0; c < blocks.blocks.count; ++c) {
        const DenseMatrix matrix = blocks.block_of(c, BlockRows(blocks, 1).side);
        const bool own = relative && !blocks.blocks.one_damping;
        const DenseMatrix f = damped(matrix, own ? gamma * std::max(trace_of(matrix) / mean, 0.01) : gamma);
        const auto x = random_numbers<float>(2 * blocks.side(), 5);
        std::vector<float> body(2 * blocks.of_each());
        std::vector<float> last(2);
        for (std::size_t i = 0; i < 2; ++i) {
          std::copy_n(&x[i * blocks.side()], blocks.of_each(), &body[i * blocks.of_each()]);
          last[i] = x[(i * blocks.side()) + blocks.side() - 1];
        }
        const MatrixView<float> ones = blocks.homogeneous ? MatrixView<float>(last.data(), 2, 1) : MatrixView<float>();
        inverse.apply_block(c, {.body = {body.data(), 2, blocks.of_each()}, .last = ones});
        DenseMatrix found{.rows = 2, .cols = blocks.side()};
        for (std::size_t i = 0; i < 2; ++i) {
          for (std::size_t j = 0; j < blocks.of_each(); ++j)
            found(i, j) = static_cast<double>(body[(i * blocks.of_each()) + j]);
          if (blocks.homogeneous) found(i, blocks.of_each()) = static_cast<double>(last[i]);
        }
        CHECK(relative_error((found * f).numbers, x) <= 1e-5);
      }
    }
  }
}
