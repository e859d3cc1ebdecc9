#include "core/layer/side_share.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/block/side.h"
#include "core/linalg/blas.h"

namespace cgfac {
namespace {

constexpr double unknown_trace = std::numeric_limits<double>::quiet_NaN();

// The lower triangle of a symmetric matrix, row by row.
std::vector<float> lower_half(MatrixView<const float> matrix) {
  std::vector<float> half;
  half.reserve(matrix.rows * (matrix.rows + 1) / 2);
  for (std::size_t i = 0; i < matrix.rows; ++i)
    half.insert(half.end(), matrix.data + (i * matrix.cols), matrix.data + (i * matrix.cols) + i + 1);
  return half;
}

// Σ ‖r‖² of rows that are the factor's own, all of them.
double squares_of(const LayerShape& shape, MatrixView<const float> recorded, LayerSide side) {
  if (!kind_of(shape).by_rows()) return unknown_trace;
  const double ones = side == LayerSide::input && shape.bias ? static_cast<double>(recorded.rows) : 0;
  return blas::dot(recorded.elements(), recorded.elements()) + ones;
}

// Whether all positions of a sample make one row.
bool reduces(const LayerShape& shape) {
  const KindOfLayer& kind = kind_of(shape);
  return shape.weight_sharing == WeightSharing::reduce && kind.any_solver() && !kind.by_rows();
}

SideRows recorded_rows(const LayerShape& shape, const LayerRows& rows, LayerSide side) {
  const KindOfLayer& kind = kind_of(shape);
  return side == LayerSide::input ? kind.input_rows(shape, rows.inputs) : kind.output_rows(shape, rows.output_grads);
}

// The rows of a side; of one that has a single row for all positions of a sample, in `memory`.
SideRows rows_of(const LayerShape& shape, const LayerRows& rows, LayerSide side, std::vector<float>& memory) {
  const bool input = side == LayerSide::input;
  const SideRows all = recorded_rows(shape, rows, side);
  if (!reduces(shape)) return all;
  const MatrixView<const float> sums = all.summed(input ? 1 / static_cast<double>(all.positions) : 1, memory);
  return {.recorded = sums, .features = sums.cols};
}

// The numbers of a diagonal or of blocks; of no rows they weigh nothing.
void share_numbers(const LayerShape& shape, LayerRows rows, LayerSide side, Factor& factor, const DrawRange& range,
                   SideShare& share) {
  const bool input = side == LayerSide::input;
  (input ? rows.input_draw : rows.output_draw) = range;
  DrawnRows memory{.stream = range.stream};
  const FisherBlock block = kind_of(shape).block(shape, rows, memory);
  const Side& own = input ? block.input : block.output;
  const ShareWeights weights = kind_of(shape).share_weights(rows, block);
  share.form = ShareForm::factor;
  share.drawn = share.count = own.count();
  share.numbers.resize(factor.average_size());
  if (own.count() == 0) return;
  factor.reset();
  factor.refresh({.rows = own});
  share.numbers.assign(factor.average().begin(), factor.average().end());
  share.weight = input ? weights.input : weights.output;
}

void require_fit(bool fits) {
  if (!fits) throw expected(ErrorCode::shape_mismatch, "shares of a layer like this one", "the shares", "others");
}

// Σ weight·numbers/Σ weight
void unite_numbers(std::size_t size, std::span<const SideShare> shares, UnitedSide& united) {
  std::vector<double> sums(size);
  double weights = 0;
  for (const SideShare& share : shares) {
    require_fit(share.numbers.size() == size);
    weights += share.weight;
    for (std::size_t i = 0; i < size; ++i) sums[i] += share.weight * static_cast<double>(share.numbers[i]);
  }
  require_fit(weights > 0);
  united.average.resize(size);
  std::ranges::transform(sums, united.average.begin(), [&](double sum) { return static_cast<float>(sum / weights); });
}

// Σ factor²·RᵀR·scale, both triangles
void unite_halves(std::size_t d, double scale, LayerSide side, std::span<const SideShare> shares, UnitedSide& united) {
  std::vector<double> sums(d * (d + 1) / 2);
  for (const SideShare& share : shares) {
    require_fit(share.numbers.size() == sums.size());
    const double square = side == LayerSide::output ? share.factor * share.factor : 1;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += square * static_cast<double>(share.numbers[i]);
  }
  united.average.resize(d * d);
  std::size_t at = 0;
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j <= i; ++j, ++at)
      united.average[(i * d) + j] = united.average[(j * d) + i] = static_cast<float>(scale * sums[at]);
  }
}

// The rows one rank after the other; output gradients times the ratio of their factor to that of the first.
void unite_rows(std::size_t features, LayerSide side, std::span<const SideShare> shares, UnitedSide& united) {
  for (const SideShare& share : shares) {
    require_fit(share.numbers.size() == share.drawn * features);
    const std::size_t before = united.rows.size();
    united.rows.insert(united.rows.end(), share.numbers.begin(), share.numbers.end());
    if (side == LayerSide::input || share.factor == shares.front().factor) continue;
    const auto ratio = static_cast<float>(share.factor / shares.front().factor);
    for (std::size_t i = before; i < united.rows.size(); ++i) united.rows[i] *= ratio;
  }
}

}  // namespace

std::size_t side_count(const LayerShape& shape, const LayerRows& rows, LayerSide side) {
  const SideRows all = recorded_rows(shape, rows, side);
  return reduces(shape) ? all.recorded.rows : all.count();
}

SideShare side_share(const LayerShape& shape, const RecordedRows& recorded, LayerSide side, Factor factor,
                     ShareForm form, const DrawRange& range) {
  std::vector<std::size_t> part_rows;
  const LayerRows rows = recorded.layer_rows(part_rows);
  const bool input = side == LayerSide::input;
  SideShare share{.form = form, .samples = rows.samples, .squares = unknown_trace, .factor = rows.factor};
  if (factor.is_diagonal() || factor.blocks().count > 0) {
    share_numbers(shape, rows, side, factor, range, share);
    return share;
  }
  std::vector<float> sums;
  std::vector<float> memory;
  const SideRows all = rows_of(shape, rows, side, sums);
  const MatrixView<const float> drawn = all.drawn(range, memory);
  share.drawn = drawn.rows;
  share.count = all.count();
  share.squares = squares_of(shape, input ? rows.inputs : rows.output_grads, side);
  if (form == ShareForm::rows) {
    share.numbers.assign(drawn.elements().begin(), drawn.elements().end());
    return share;
  }
  const std::size_t d = factor.dimension();
  std::vector<float> product(d * d);
  if (drawn.rows > 0) covariance_matrix({.rows = drawn, .homogeneous = input && shape.bias}, {product.data(), d, d});
  share.numbers = lower_half({product.data(), d, d});
  return share;
}

UnitedSide unite(const Factor& factor, std::size_t features, bool homogeneous, LayerSide side,
                 std::span<const SideShare> shares) {
  require_fit(!shares.empty());
  UnitedSide united;
  std::size_t drawn = 0;
  std::size_t count = 0;
  std::size_t samples = 0;
  double squares = 0;
  for (const SideShare& share : shares) {
    require_fit(share.form == shares.front().form);
    drawn += share.drawn;
    count += share.count;
    samples += share.samples;
    const double square = side == LayerSide::output ? share.factor * share.factor : 1;
    squares += square * share.squares;
  }
  require_fit(drawn > 0);
  united.side = {.rows = {nullptr, drawn, features}, .homogeneous = homogeneous};
  if (factor.is_diagonal() || factor.blocks().count > 0) {
    unite_numbers(factor.average_size(), shares, united);
    return united;
  }
  const auto m = static_cast<double>(drawn);
  const bool input = side == LayerSide::input;
  const double scale = input ? static_cast<double>(count) / m / static_cast<double>(samples) : 1 / m;
  if (shares.front().form == ShareForm::factor) {
    require_fit(factor.average_size() > 0);
    unite_halves(factor.dimension(), scale, side, shares, united);
    return united;
  }
  unite_rows(features, side, shares, united);
  const double square = input ? 1 : shares.front().factor * shares.front().factor;
  united.side.rows = {united.rows.data(), drawn, features};
  united.side.scale = square * scale;
  const double all = input ? static_cast<double>(samples) : static_cast<double>(count);
  united.trace = std::isnan(squares) ? trace(united.side) : squares / all;
  return united;
}

}  // namespace cgfac
