#include "core/kernels/depthwise.h"

#include <algorithm>

#include "core/kernels/pieces.h"
#include "core/linalg/simd.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

double depthwise_flops(const ConvGeometry& g) {
  return product_flops(g.rows(), volume_of(g.kernel), g.filters);
}

std::ptrdiff_t offset(std::size_t position, std::size_t step, std::size_t padding) {
  return static_cast<std::ptrdiff_t>(position * step) - static_cast<std::ptrdiff_t>(padding);
}

// The outputs of a row, o·stride − padding + k·dilation within the input, that a tap has.
Range outputs_of_tap(const ConvGeometry& g, std::size_t tap) {
  return steps_within(offset(tap, g.dilation[2], g.padding[2]), g.stride[2], {.first = 0, .last = g.input[2]},
                      g.output[2]);
}

// The first input that a tap reads for one of its outputs.
std::size_t input_of_tap(const ConvGeometry& g, std::size_t tap, std::size_t output) {
  return static_cast<std::size_t>(offset(tap, g.dilation[2], g.padding[2]) +
                                  static_cast<std::ptrdiff_t>(output * g.stride[2]));
}

// A row of inputs with each channel as often as it has filters: the row itself where that is once.
const float* filters_of_row(const ConvGeometry& g, const float* row, std::span<float> room) {
  const std::size_t multiplier = g.filters / g.channels;
  if (multiplier == 1) return row;
  for (std::size_t i = 0; i < g.input[2] * g.channels; ++i) {
    std::fill_n(room.data() + (i * multiplier), multiplier, row[i]);
  }
  return room.data();
}

// sums ← the gradient of the kernel, of the rows of outputs of a range.
void add_rows(const ConvGeometry& g, const float* x, const float* dy, Range rows, std::span<float> sums) {
  Scratch scratch;
  const std::span<float> room = scratch.span(g.input[2] * g.filters);
  std::ranges::fill(sums, 0.0F);
  for (std::size_t row = rows.first; row < rows.last; ++row) {
    const std::size_t sample = row / g.output[1];
    const std::ptrdiff_t top = offset(row % g.output[1], g.stride[1], g.padding[1]);
    const Range inside = steps_within(top, g.dilation[1], {.first = 0, .last = g.input[1]}, g.kernel[1]);
    for (std::size_t ky = inside.first; ky < inside.last; ++ky) {
      const auto y = static_cast<std::size_t>(top + static_cast<std::ptrdiff_t>(ky * g.dilation[1]));
      const float* const inputs = filters_of_row(g, x + (((sample * g.input[1]) + y) * g.input[2] * g.channels), room);
      for (std::size_t kx = 0; kx < g.kernel[2]; ++kx) {
        const Range outputs = outputs_of_tap(g, kx);
        if (outputs.count() == 0) continue;
        simd::add_column_sums(outputs.count(), g.filters, g.stride[2] * g.filters,
                              inputs + (input_of_tap(g, kx, outputs.first) * g.filters),
                              dy + (((row * g.output[2]) + outputs.first) * g.filters),
                              sums.data() + (((ky * g.kernel[2]) + kx) * g.filters));
      }
    }
  }
}

// The gradient of a row of inputs, with a number for each filter: `gradient` has filters · width numbers.
void gradient_of_row(const ConvGeometry& g, const float* dy, const float* w, std::size_t row,
                     std::span<float> gradient) {
  std::ranges::fill(gradient, 0.0F);
  const std::size_t sample = row / g.input[1];
  const std::size_t y = row % g.input[1];
  for (std::size_t ky = 0; ky < g.kernel[1]; ++ky) {
    // the one output row o with o·stride − padding + ky·dilation = y, if there is one
    const std::ptrdiff_t start = offset(ky, g.dilation[1], g.padding[1]);
    const Range output = steps_within(start, g.stride[1], {.first = y, .last = y + 1}, g.output[1]);
    if (output.count() == 0) continue;
    const float* const errors = dy + (((sample * g.output[1]) + output.first) * g.output[2] * g.filters);
    for (std::size_t kx = 0; kx < g.kernel[2]; ++kx) {
      const Range outputs = outputs_of_tap(g, kx);
      if (outputs.count() == 0) continue;
      simd::add_scaled_columns(outputs.count(), g.filters, g.stride[2] * g.filters,
                               errors + (outputs.first * g.filters), w + (((ky * g.kernel[2]) + kx) * g.filters),
                               gradient.data() + (input_of_tap(g, kx, outputs.first) * g.filters));
    }
  }
}

}  // namespace

void depthwise_kernel_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                               std::span<float> dw) {
  const std::size_t rows = geometry.batch * geometry.output[1];
  const std::size_t parts =
      depthwise_flops(geometry) < worth_pieces ? 1 : std::clamp<std::size_t>(rows / 4, 1, most_pieces);
  Scratch scratch;
  const std::span<float> others = scratch.span((parts - 1) * dw.size());
  parallel_for(parts, depthwise_flops(geometry), [&](std::size_t part) {
    const std::span<float> sums = part == 0 ? dw : others.subspan((part - 1) * dw.size(), dw.size());
    add_rows(geometry, x.data(), dy.data(), {.first = cut(rows, part, parts), .last = cut(rows, part + 1, parts)},
             sums);
  });
  add_up(others, dw);
}

void depthwise_input_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<const float> w,
                              std::span<float> dx) {
  const std::size_t rows = geometry.batch * geometry.input[1];
  const std::size_t width = geometry.input[2] * geometry.channels;
  const std::size_t multiplier = geometry.filters / geometry.channels;
  const std::size_t pieces = std::min(rows, most_pieces);
  parallel_for(pieces, depthwise_flops(geometry), [&](std::size_t piece) {
    Scratch scratch;
    for (std::size_t row = cut(rows, piece, pieces); row < cut(rows, piece + 1, pieces); ++row) {
      const std::span<float> gradient = dx.subspan(row * width, width);
      if (multiplier == 1) {
        gradient_of_row(geometry, dy.data(), w.data(), row, gradient);
        continue;
      }
      const std::span<float> each = scratch.span(width * multiplier);
      gradient_of_row(geometry, dy.data(), w.data(), row, each);
      for (std::size_t i = 0; i < width; ++i) {
        float sum = 0;
        for (std::size_t q = 0; q < multiplier; ++q) sum += each[(i * multiplier) + q];
        gradient[i] = sum;
      }
    }
  });
}

}  // namespace cgfac
