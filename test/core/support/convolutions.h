#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "core/kernels/conv_geometry.h"
#include "support/reference.h"

namespace cgfac::test {

/// Calls visit(row of dy, number of its patch, input) for every number of every patch that is not padding.
template <typename Visit>
void for_each_number(const ConvGeometry& g, Visit visit) {
  const auto& [kd, kh, kw] = g.kernel;
  for (std::size_t row = 0; row < g.rows(); ++row) {
    const Position position = Position::of_row(g, row);
    for (std::size_t tap = 0; tap < kd * kh * kw; ++tap) {
      const Extents taps{tap / (kh * kw), tap / kw % kh, tap % kw};
      std::size_t place = position.sample;
      bool inside = true;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const std::size_t padded = (position.place[axis] * g.stride[axis]) + (taps[axis] * g.dilation[axis]);
        inside = inside && padded >= g.padding[axis] && padded - g.padding[axis] < g.input[axis];
        place = (place * g.input[axis]) + padded - g.padding[axis];
      }
      if (inside) visit(row, tap, place);
    }
  }
}

/// A convolution of random numbers: of every channel by every filter, or, where it reads one, channel by channel.
struct ConvProblem {
  explicit ConvProblem(const ConvGeometry& geometry, std::size_t read_channels)
      : g(geometry), w_size(volume_of(g.kernel) * read_channels * g.filters) {}

  ConvGeometry g;
  std::size_t w_size;
  std::vector<float> x = random_numbers<float>(g.batch * volume_of(g.input) * g.channels, 1);
  std::vector<float> dy = random_numbers<float>(g.rows() * g.filters, 2);
  std::vector<float> w = random_numbers<float>(w_size, 3);

  /// relu(patches · W + bias) in float64.
  [[nodiscard]] std::vector<double> results(const std::vector<float>& bias) const {
    std::vector<double> y(g.rows() * g.filters);
    for (std::size_t at = 0; at < y.size(); ++at) y[at] = static_cast<double>(bias[at % g.filters]);
    for_each_number(g, [&](std::size_t row, std::size_t tap, std::size_t place) {
      for (std::size_t c = 0; c < g.channels; ++c) {
        for (std::size_t f = 0; f < g.filters; ++f) {
          y[(row * g.filters) + f] += static_cast<double>(x[(place * g.channels) + c]) *
                                      static_cast<double>(w[(((tap * g.channels) + c) * g.filters) + f]);
        }
      }
    });
    for (double& each : y) each = each < 0 ? 0 : each;
    return y;
  }

  /// Both gradients in float64: each number of a patch meets the filters that read its channel.
  [[nodiscard]] std::pair<std::vector<double>, std::vector<double>> gradients() const {
    const std::size_t read = w_size / (volume_of(g.kernel) * g.filters);
    const std::size_t multiplier = g.filters / g.channels;
    std::vector<double> dw(w.size());
    std::vector<double> dx(x.size());
    for_each_number(g, [&](std::size_t row, std::size_t tap, std::size_t place) {
      for (std::size_t c = 0; c < g.channels; ++c) {
        const std::size_t from = read == 1 ? c * multiplier : 0;
        const std::size_t count = read == 1 ? multiplier : g.filters;
        for (std::size_t f = from; f < from + count; ++f) {
          const std::size_t at = (((tap * read) + (read == 1 ? 0 : c)) * g.filters) + f;
          const auto error = static_cast<double>(dy[(row * g.filters) + f]);
          dw[at] += error * static_cast<double>(x[(place * g.channels) + c]);
          dx[(place * g.channels) + c] += error * static_cast<double>(w[at]);
        }
      }
    });
    return {dw, dx};
  }
};

}  // namespace cgfac::test
