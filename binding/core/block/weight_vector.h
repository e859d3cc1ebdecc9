#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/block/solution.h"

/// Vectors of weight space, a kernel and a bias: the passes over them, in pieces that their length fixes and that pool
/// threads share.
namespace cgfac {

/// How a pass over `length` numbers is cut: into pieces of about 64 Ki numbers, at most 64 of them.
struct Pieces {
  static constexpr std::size_t numbers = 1U << 16U;
  static constexpr std::size_t most = 64;

  std::size_t size;
  std::size_t count;
  explicit Pieces(std::size_t length) : size(length), count(std::clamp<std::size_t>(length / numbers, 1, most)) {}
  /// One piece of an array of that length.
  template <typename T>
  [[nodiscard]] std::span<T> of(std::span<T> x, std::size_t piece) const {
    const std::size_t first = size * piece / count;
    return x.subspan(first, (size * (piece + 1) / count) - first);
  }
};

/// out ← v
void copy(const WeightView<const float>& v, const WeightView<float>& out);
/// out ← keep·out + factor·x
void write(const WeightView<const float>& x, const Destination& destination);
/// out ← keep·out, what a solution of 0 leaves
void write_zero(const Destination& destination);
/// x ← α x
void scale(float alpha, const WeightView<float>& x);
/// y ← y + α x
void axpy(float alpha, const WeightView<const float>& x, const WeightView<float>& y);
/// ‖x‖² of what was written; unknown where that is more than x
[[nodiscard]] double norm2_of(const Destination& destination);
/// ⟨x, y⟩ over kernel and bias
[[nodiscard]] double dot(const WeightView<const float>& x, const WeightView<const float>& y);
/// ⟨x, y⟩ of two arrays
[[nodiscard]] double dot_in_pieces(std::span<const float> x, std::span<const float> y);
/// ‖x‖² of a matrix, which may have gaps between its rows
[[nodiscard]] double squares_in_pieces(const MatrixView<const float>& x);

}  // namespace cgfac
