#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

/// Convolutions of one to three spatial dimensions in terms of patches.
///
/// Tensors are row-major, channels last: inputs x (batch × input × channels), results y (batch × output × filters),
/// kernels W (kernel × channels × filters), where input, output and kernel have a depth, a height and a width, 1 where
/// a dimension is missing. Output position o reads, on each axis, the inputs o·stride − padding + k·dilation of the
/// taps k; what lies outside of the input counts as zero. Its patch are those numbers in the kernel's own order,
/// taps · channels of them, so that y = patches · W.
namespace cgfac {

/// A number for each of depth, height and width.
using Extents = std::array<std::size_t, 3>;

/// The product of three extents.
[[nodiscard]] inline std::size_t volume_of(const Extents& extents) {
  return extents[0] * extents[1] * extents[2];
}

/// The sizes of a convolution, all of them positive but for the padding.
struct ConvGeometry {
  std::size_t batch = 1;
  std::size_t channels = 1;
  std::size_t filters = 1;
  Extents input{1, 1, 1};
  Extents output{1, 1, 1};
  Extents kernel{1, 1, 1};
  Extents stride{1, 1, 1};
  Extents dilation{1, 1, 1};
  Extents padding{0, 0, 0};  ///< zeros before the first input of an axis

  /// Output positions of all samples: the rows of dy, and of the matrix of all patches.
  [[nodiscard]] std::size_t rows() const { return batch * volume_of(output); }
  /// Numbers of a patch.
  [[nodiscard]] std::size_t patch() const { return volume_of(kernel) * channels; }
  /// Whether a patch is the input at its own position: kernels of one tap, without strides and padding.
  [[nodiscard]] bool pointwise() const {
    return volume_of(kernel) == 1 && stride == Extents{1, 1, 1} && padding == Extents{0, 0, 0} && input == output;
  }
};

/// Indices first, …, last − 1.
struct Range {
  std::size_t first = 0;
  std::size_t last = 0;

  [[nodiscard]] std::size_t count() const { return last > first ? last - first : 0; }
};

/// A box of input positions, the same in each sample.
using Box = std::array<Range, 3>;

/// All inputs of a sample.
[[nodiscard]] inline Box whole(const Extents& input) {
  return {Range{.last = input[0]}, Range{.last = input[1]}, Range{.last = input[2]}};
}

/// The indices i ≥ 0 below `limit` with low ≤ start + i·step < high.
[[nodiscard]] inline Range steps_within(std::ptrdiff_t start, std::size_t step, Range inside, std::size_t limit) {
  // ⌈distance/step⌉, 0 where it is negative
  const auto steps = [&](std::size_t bound) -> std::size_t {
    const std::ptrdiff_t distance = static_cast<std::ptrdiff_t>(bound) - start;
    if (distance <= 0) return 0;
    const auto positive = static_cast<std::size_t>(distance);
    return step == 1 ? positive : (positive + step - 1) / step;
  };
  return {.first = std::min(steps(inside.first), limit), .last = std::min(steps(inside.last), limit)};
}

/// An output position: a sample, and its place on each axis.
struct Position {
  std::size_t sample = 0;
  Extents place{0, 0, 0};

  /// The position of a row of dy.
  [[nodiscard]] static Position of_row(const ConvGeometry& g, std::size_t row) {
    const auto& [depth, height, width] = g.output;
    return {.sample = row / (depth * height * width),
            .place = {row / (height * width) % depth, row / width % height, row % width}};
  }
  /// Goes on to the next row.
  void advance(const ConvGeometry& g) {
    for (std::size_t axis = 3; axis > 0;) {
      --axis;
      if (++place[axis] < g.output[axis]) return;
      place[axis] = 0;
    }
    ++sample;
  }
};

/// The taps of a position whose inputs lie in a box, on each axis, and where tap 0 lies.
struct Taps {
  std::array<std::ptrdiff_t, 3> start{};
  std::array<Range, 3> inside{};

  Taps(const ConvGeometry& g, const Position& position, const Box& box) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      start[axis] = static_cast<std::ptrdiff_t>(position.place[axis] * g.stride[axis]) -
                    static_cast<std::ptrdiff_t>(g.padding[axis]);
      inside[axis] = steps_within(start[axis], g.dilation[axis], box[axis], g.kernel[axis]);
    }
  }
  /// How many there are.
  [[nodiscard]] std::size_t count() const { return inside[0].count() * inside[1].count() * inside[2].count(); }
  /// The input of a tap on an axis, for a tap inside.
  [[nodiscard]] std::size_t input(const ConvGeometry& g, std::size_t axis, std::size_t tap) const {
    return static_cast<std::size_t>(start[axis] + static_cast<std::ptrdiff_t>(tap * g.dilation[axis]));
  }
};

/// Calls run(from, to, count) for each stretch of a patch that lies in a box and without a gap in x: its first number
/// is x[from] and number `to` of the patch.
template <typename Run>
void for_each_run(const ConvGeometry& g, const Position& position, const Taps& taps, Run run) {
  const auto& [depth, height, width] = g.input;
  const auto& [planes, rows, columns] = taps.inside;
  const bool gapless = g.dilation[2] == 1;
  for (std::size_t kz = planes.first; kz < planes.last; ++kz) {
    const std::size_t plane = (position.sample * depth) + taps.input(g, 0, kz);
    for (std::size_t ky = rows.first; ky < rows.last; ++ky) {
      const std::size_t row = ((plane * height) + taps.input(g, 1, ky)) * width;
      const std::size_t tap = ((kz * g.kernel[1]) + ky) * g.kernel[2];
      for (std::size_t kx = columns.first; kx < columns.last; kx += gapless ? columns.count() : 1) {
        run((row + taps.input(g, 2, kx)) * g.channels, (tap + kx) * g.channels,
            (gapless ? columns.count() : 1) * g.channels);
      }
    }
  }
}

}  // namespace cgfac
