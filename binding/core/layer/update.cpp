#include "core/layer/update.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/block/weight_vector.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Elements of a pass at a time: those of the arrays of a piece_length fit in a core's cache together.
constexpr std::size_t piece_length = 1U << 14U;

// to ← keep·to + factor·from; keep = 0: `to` is not read
void combine(double keep, double factor, std::span<const float> from, std::span<float> to) {
  const auto k = static_cast<float>(keep);
  const auto f = static_cast<float>(factor);
  if (keep == 0) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = f * from[i];
  } else {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = (k * to[i]) + (f * from[i]);
  }
}

template <typename View>
std::span<float> part_of(const std::optional<View>& vector, std::size_t first, std::size_t count) {
  return vector ? vector->kernel.elements().subspan(first, count) : std::span<float>();
}

std::span<float> bias_of(const std::optional<WeightView<float>>& vector) {
  return vector ? vector->bias : std::span<float>();
}

}  // namespace

UpdatePiece kernel_piece(const LayerUpdate& update, std::size_t first, std::size_t count) {
  return {.kept = part_of(update.kept, first, count),
          .weights = part_of(update.weights, first, count),
          .gradient = part_of(update.gradient, first, count),
          .average = part_of(update.average, first, count)};
}

UpdatePiece bias_piece(const LayerUpdate& update) {
  return {.kept = bias_of(update.kept),
          .weights = bias_of(update.weights),
          .gradient = bias_of(update.gradient),
          .average = bias_of(update.average)};
}

void finish_piece(const LayerUpdate& update, const UpdatePiece& to) {
  const double decay = update.rate * update.step_size * update.weight_decay;
  if (!to.gradient.empty()) {
    if (!to.kept.empty()) combine(0, update.rate, to.kept, to.gradient);  // v ← ρM
    if (!to.weights.empty() && decay != 0) combine(1, decay, to.weights, to.gradient);
    return;
  }
  if (!to.kept.empty() && !to.weights.empty()) combine(1 - decay, -update.rate, to.kept, to.weights);
  if (!to.average.empty()) combine(update.average_decay, 1 - update.average_decay, to.weights, to.average);
}

FirstArray first_of(const LayerUpdate& update) {
  if (update.kept) return {.array = *update.kept, .keep = update.momentum, .factor = update.step_size};
  const double eta = update.rate * update.step_size;
  if (update.gradient) return {.array = *update.gradient, .keep = 0, .factor = eta};
  if (!update.weights)
    throw expected(ErrorCode::invalid_value, "momentum, a gradient or weights to write to", "the update", "none");
  return {.array = *update.weights, .keep = 1 - (eta * update.weight_decay), .factor = -eta};
}

void update_piece(const LayerUpdate& update, std::span<const float> x, const UpdatePiece& to) {
  const FirstArray first = first_of(update);
  std::span<float> target = to.weights;
  if (!to.gradient.empty()) target = to.gradient;
  if (!to.kept.empty()) target = to.kept;
  combine(first.keep, first.factor, x, target);
  finish_piece(update, to);
}

void update_by_zero(const LayerUpdate& update) {
  const FirstArray first = first_of(update);
  write_zero({.out = first.array, .keep = first.keep});
  finish_piece(update, kernel_piece(update, 0, first.array.kernel.size()));
  if (!first.array.bias.empty()) finish_piece(update, bias_piece(update));
}

void update_all(const LayerUpdate& update, const WeightView<const float>& x) {
  const std::span<const float> kernel = x.kernel.elements();
  const std::size_t pieces = (kernel.size() + piece_length - 1) / piece_length;
  parallel_for(pieces, 4 * static_cast<double>(kernel.size()), [&](std::size_t i) {
    const std::size_t first = i * piece_length;
    const std::size_t count = std::min(piece_length, kernel.size() - first);
    update_piece(update, kernel.subspan(first, count), kernel_piece(update, first, count));
  });
  if (!x.bias.empty()) update_piece(update, x.bias, bias_piece(update));
}

void finish_all(const LayerUpdate& update) {
  const std::size_t size = update.kept ? update.kept->kernel.size() : 0;
  const std::size_t pieces = (size + piece_length - 1) / piece_length;
  parallel_for(pieces, 4 * static_cast<double>(size), [&](std::size_t i) {
    const std::size_t first = i * piece_length;
    finish_piece(update, kernel_piece(update, first, std::min(piece_length, size - first)));
  });
  if (update.kept && !update.kept->bias.empty()) finish_piece(update, bias_piece(update));
}

void combine_arrays(double keep, std::span<const float> x, double factor, std::span<const float> y,
                    std::span<float> out) {
  const auto k = static_cast<float>(keep);
  const auto f = static_cast<float>(factor);
  const std::size_t pieces = (out.size() + piece_length - 1) / piece_length;
  parallel_for(pieces, 4 * static_cast<double>(out.size()), [&](std::size_t i) {
    const std::size_t first = i * piece_length;
    const std::size_t end = std::min(first + piece_length, out.size());
    for (std::size_t at = first; at < end; ++at) out[at] = (k * x[at]) + (f * y[at]);
  });
}

void average_weights(double decay, std::span<const float> weights, std::span<float> average) {
  if (decay == 0) {  // what is not kept is not read
    std::ranges::copy(weights, average.begin());
    return;
  }
  combine_arrays(decay, average, 1 - decay, weights, average);
}

}  // namespace cgfac
