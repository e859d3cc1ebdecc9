#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/matrix_view.h"

namespace cgfac {

/// How a window moves over data: three axes (depth, height, width) and channels behind them, as TensorFlow.js lays data
/// out ("NHWC"). Axes that data does not have are of extent 1. Places beyond the data are zeros.
struct PatchShape {
  using Extents = std::array<std::size_t, 3>;

  Extents size{};            ///< of a sample's data
  std::size_t channels = 0;  ///< of the data
  Extents kernel{};          ///< of the window
  Extents strides{};         ///< between two windows
  Extents dilations{};       ///< between two taps of a window
  Extents pad{};             ///< zeros before the data
  Extents out{};             ///< windows

  /// Numbers of a sample.
  [[nodiscard]] std::size_t sample() const { return size[0] * size[1] * size[2] * channels; }
  /// Taps of a window.
  [[nodiscard]] std::size_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  /// Numbers that a window sees, in the order of a kernel: tap by tap, the channels of each together.
  [[nodiscard]] std::size_t features() const { return taps() * channels; }
  /// Windows of a sample.
  [[nodiscard]] std::size_t positions() const { return out[0] * out[1] * out[2]; }
};

/// to ← what the window at `position` of a sample sees, `features()` numbers.
void copy_patch(const PatchShape& shape, const float* sample, std::size_t position, float* to);

/// A draw over the rows of all ranks, of which `first` lie in the ranks before this one.
struct DrawRange {
  std::size_t first = 0;
  std::size_t all = 0;
  std::size_t most = 0;      ///< rows that are drawn
  std::uint64_t stream = 0;  ///< another draw for each
};

/// The rows of one side of a layer as they were recorded: a sample (or a sample and position) each, which stands for
/// one row or, with several positions, for as many: rows that lie in it one after another, or the patches of it.
struct SideRows {
  MatrixView<const float> recorded;
  std::size_t features = 0;             ///< of a row
  std::size_t positions = 1;            ///< rows of each that is recorded
  const PatchShape* patches = nullptr;  ///< none: the rows lie there

  [[nodiscard]] std::size_t count() const { return recorded.rows * positions; }
  /// to ← a row.
  void copy(std::size_t row, float* to) const;
  /// All rows of a sample, positions × features: where they lie, or in `memory`.
  [[nodiscard]] MatrixView<const float> of_sample(std::size_t sample, std::vector<float>& memory) const;
  /// No more than `most` rows, in `memory`: all of them, or one drawn from each of as many stretches, another one for
  /// each `stream`.
  [[nodiscard]] MatrixView<const float> drawn(std::size_t most, std::uint64_t stream, std::vector<float>& memory) const;
  /// Rows that a draw over all ranks finds here, in `memory`: the draws of all ranks together are what
  /// `drawn` makes of the rows of all of them.
  [[nodiscard]] MatrixView<const float> drawn(const DrawRange& range, std::vector<float>& memory) const;
  /// The sum of the rows of each sample, times a factor, in `memory`.
  [[nodiscard]] MatrixView<const float> summed(double factor, std::vector<float>& memory) const;
};

}  // namespace cgfac
