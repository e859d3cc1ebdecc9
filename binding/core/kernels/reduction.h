#pragma once

#include <cstddef>
#include <span>

namespace cgfac {

/// What an array is reduced to along some of its axes. A maximum is NaN where any number is, and −∞ of no numbers.
enum class Reduction : unsigned char { sum, mean, max };

/// The extents of an array of which the second and the fourth axis are reduced, row-major.
struct ReducedExtents {
  std::size_t outer = 1;    ///< kept
  std::size_t rows = 1;     ///< reduced
  std::size_t columns = 1;  ///< kept
  std::size_t inner = 1;    ///< reduced

  [[nodiscard]] std::size_t numbers() const { return outer * rows * columns * inner; }
  [[nodiscard]] std::size_t results() const { return outer * columns; }
};

/// out[o, c] ← the reduction of x[o, ·, c, ·]. Sums add at most 128 numbers in float32 and go on in float64; their
/// order follows from the extents, so that their bits depend neither on threads nor on the processor.
void reduce(Reduction reduction, const ReducedExtents& given, std::span<const float> x, std::span<float> out);

}  // namespace cgfac
