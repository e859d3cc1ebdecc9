#include "core/kernels/convolution.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "core/kernels/pieces.h"
#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Patches of a piece that are in work at once: 256 KiB, which the cache of a core holds beside its operands.
constexpr std::size_t numbers_at_once = 65536;
// Sums of pieces that are added up in the end: 32 MiB at most.
constexpr std::size_t most_sums = std::size_t{1} << 23U;

// Positions of a piece of a convolution, at the least: sgemm arranges W anew for each.
constexpr std::size_t forward_rows = 128;

double conv_flops(const ConvGeometry& g) {
  return product_flops(g.rows(), g.patch(), g.filters);
}

std::size_t rows_at_once(const ConvGeometry& g) {
  return std::clamp<std::size_t>(numbers_at_once / g.patch(), 16, 1024);
}

// How the gradient of a kernel is cut: into parts of the rows, whose sums are added up in order, and into blocks of
// filters.
struct KernelPieces {
  std::size_t parts = 1;
  std::size_t blocks = 1;

  explicit KernelPieces(const ConvGeometry& g) {
    if (conv_flops(g) < worth_pieces) return;
    blocks = std::clamp<std::size_t>(g.filters / 128, 1, most_pieces);
    const std::size_t kernel = g.patch() * g.filters;
    parts = std::max<std::size_t>(
        1, std::min({most_pieces / blocks, g.rows() / rows_at_once(g), 1 + (most_sums / kernel)}));
  }
};

// A tap of consecutive patches: to[i·step + c] ← line[(start + i·stride)·channels + c] where that is an input, else 0.
template <std::size_t Channels>
void gather_tap(const ConvGeometry& g, const float* line, std::ptrdiff_t start, Range inside, MatrixView<float> to) {
  const auto fill = [&](Range range) {
    for (std::size_t i = range.first; i < range.last; ++i) std::fill_n(to.data + (i * to.row_stride), Channels, 0.0F);
  };
  fill({.first = 0, .last = inside.first});
  for (std::size_t i = inside.first; i < inside.last; ++i) {
    const auto input = static_cast<std::size_t>(start + static_cast<std::ptrdiff_t>(i * g.stride[2]));
    std::copy_n(line + (input * Channels), Channels, to.data + (i * to.row_stride));
  }
  fill({.first = inside.last, .last = to.rows});
}

// Channels up to which patches are gathered tap by tap.
constexpr std::size_t few_channels = 4;
constexpr std::array gather_few{gather_tap<1>, gather_tap<2>, gather_tap<3>, gather_tap<few_channels>};

// Patches of consecutive positions on the last axis, tap by tap: faster than one by one where channels are few.
void gather_line(const ConvGeometry& g, std::span<const float> x, const Position& first, MatrixView<float> patches) {
  const Taps taps(g, first, whole(g.input));
  const auto has = [](Range range, std::size_t tap) { return range.first <= tap && tap < range.last; };
  std::size_t column = 0;
  for (std::size_t kz = 0; kz < g.kernel[0]; ++kz) {
    for (std::size_t ky = 0; ky < g.kernel[1]; ++ky) {
      const bool read = has(taps.inside[0], kz) && has(taps.inside[1], ky);
      const std::size_t plane = read ? (first.sample * g.input[0]) + taps.input(g, 0, kz) : 0;
      const std::size_t row = read ? (plane * g.input[1]) + taps.input(g, 1, ky) : 0;
      const float* const line = x.data() + (row * g.input[2] * g.channels);
      for (std::size_t kx = 0; kx < g.kernel[2]; ++kx) {
        const std::ptrdiff_t start = taps.start[2] + static_cast<std::ptrdiff_t>(kx * g.dilation[2]);
        const Range inside =
            read ? steps_within(start, g.stride[2], {.first = 0, .last = g.input[2]}, patches.rows) : Range{};
        gather_few[g.channels - 1](g, line, start, inside, patches.columns(column, g.channels));
        column += g.channels;
      }
    }
  }
}

bool kernel_is_finite(std::span<const float> numbers) {
  constexpr std::uint32_t exponent = 0x7f800000U;
  bool finite = true;
  for (const float each : numbers) finite &= (std::bit_cast<std::uint32_t>(each) & exponent) != exponent;
  return finite;
}

// y ← y + patches · W for the positions from `first` on, without what lies outside of the input.
void add_inside(const ConvGeometry& g, std::span<const float> x, MatrixView<const float> w, std::size_t first,
                MatrixView<float> y) {
  Position position = Position::of_row(g, first);
  for (std::size_t row = 0; row < y.rows; ++row) {
    const std::span<float> sums = y.rows_from(row, 1).elements();
    for_each_run(g, position, Taps(g, position, whole(g.input)),
                 [&](std::size_t from, std::size_t tap, std::size_t count) {
                   for (std::size_t i = 0; i < count; ++i) {
                     for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += x[from + i] * w(tap + i, j);
                   }
                 });
    position.advance(g);
  }
}

}  // namespace

void gather_patches(const ConvGeometry& geometry, std::span<const float> x, std::size_t first,
                    MatrixView<float> patches) {
  const Box box = whole(geometry.input);
  const std::size_t taps_of_kernel = volume_of(geometry.kernel);
  Position position = Position::of_row(geometry, first);
  if (geometry.channels <= few_channels) {
    for (std::size_t row = 0; row < patches.rows;) {
      const std::size_t count = std::min(patches.rows - row, geometry.output[2] - position.place[2]);
      gather_line(geometry, x, position, patches.rows_from(row, count));
      row += count;
      position = Position::of_row(geometry, first + row);
    }
    return;
  }
  for (std::size_t row = 0; row < patches.rows; ++row) {
    const std::span<float> patch = patches.rows_from(row, 1).elements();
    const Taps taps(geometry, position, box);
    if (taps.count() < taps_of_kernel) std::ranges::fill(patch, 0.0F);
    for_each_run(geometry, position, taps, [&](std::size_t from, std::size_t to, std::size_t count) {
      std::copy_n(x.data() + from, count, patch.data() + to);
    });
    position.advance(geometry);
  }
}

void convolution(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> w,
                 const Epilogue& epilogue, std::span<float> y) {
  const std::size_t rows = geometry.rows();
  const std::size_t patch = geometry.patch();
  const MatrixView<const float> kernel(w.data(), patch, geometry.filters);
  const MatrixView<float> all(y.data(), rows, geometry.filters);
  const bool finite = kernel_is_finite(w);
  const bool biased = epilogue.bias.data != nullptr;
  const std::size_t at_once = std::max(rows_at_once(geometry), forward_rows);
  const std::size_t parts =
      conv_flops(geometry) < worth_pieces ? 1 : std::clamp<std::size_t>(rows / at_once, 1, most_pieces);
  parallel_for(parts, conv_flops(geometry), [&](std::size_t part) {
    const std::size_t end = cut(rows, part + 1, parts);
    Scratch own;
    for (std::size_t at = cut(rows, part, parts); at < end; at += at_once) {
      const std::size_t count = std::min(at_once, end - at);
      const Place place{.row = at};
      const MatrixView<float> results = all.rows_from(at, count);
      if (biased) fill_bias(epilogue.bias, place, results);
      if (!finite) {
        if (!biased) std::ranges::fill(results.elements(), 0.0F);
        add_inside(geometry, x, kernel, at, results);
      } else {
        MatrixView<const float> patches(x.data() + (at * patch), count, patch);
        if (!geometry.pointwise()) {
          const MatrixView<float> gathered = own.matrix(count, patch);
          gather_patches(geometry, x, at, gathered);
          patches = gathered;
        }
        blas::gemm(1.0F, patches, kernel, biased ? 1.0F : 0.0F, results);
      }
      activate(epilogue, place, results);
    }
  });
}

void conv_kernel_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                          std::span<float> dw) {
  const std::size_t rows = geometry.rows();
  const std::size_t patch = geometry.patch();
  const std::size_t filters = geometry.filters;
  const KernelPieces pieces(geometry);
  const MatrixView<const float> all(dy.data(), rows, filters);
  Scratch scratch;
  const std::span<float> others = scratch.span((pieces.parts - 1) * dw.size());
  const auto sums_of = [&](std::size_t part) {
    return MatrixView<float>(part == 0 ? dw.data() : others.data() + ((part - 1) * dw.size()), patch, filters);
  };

  parallel_for(pieces.parts * pieces.blocks, conv_flops(geometry), [&](std::size_t piece) {
    const std::size_t part = piece / pieces.blocks;
    const std::size_t block = piece % pieces.blocks;
    const std::size_t left = cut(filters, block, pieces.blocks);
    const std::size_t width = cut(filters, block + 1, pieces.blocks) - left;
    const std::size_t begin = cut(rows, part, pieces.parts);
    const std::size_t end = cut(rows, part + 1, pieces.parts);
    Scratch own;
    for (std::size_t at = begin; at < end; at += rows_at_once(geometry)) {
      const std::size_t count = std::min(rows_at_once(geometry), end - at);
      MatrixView<const float> patches(x.data() + (at * patch), count, patch);
      if (!geometry.pointwise()) {
        const MatrixView<float> gathered = own.matrix(count, patch);
        gather_patches(geometry, x, at, gathered);
        patches = gathered;
      }
      // sums ← sums + patchesᵀ · dy
      blas::gemm(1.0F, patches.transposed(), all.rows_from(at, count).columns(left, width), at == begin ? 0.0F : 1.0F,
                 sums_of(part).columns(left, width));
    }
  });

  add_up(others, dw);
}

namespace {

// Inputs whose gradient is computed in one go, and the output positions that read them.
struct InputPiece {
  Range samples;
  Box box;
  Range rows;
};

// How the gradient of inputs is cut: into groups of samples or, where these are few, into bands along the first axis
// with more than one output. Bands share no input, and each computes anew what its neighbour reads, too.
class InputPieces {
 public:
  explicit InputPieces(const ConvGeometry& g) : g_(g) {
    if (conv_flops(g) < worth_pieces) return;
    groups_ = std::min(g.batch, most_pieces);
    while (axis_ < 2 && g.output[axis_] == 1) ++axis_;
    const std::size_t shared = (g.kernel[axis_] - 1) * g.dilation[axis_];
    bands_ = std::max<std::size_t>(
        1, std::min(most_pieces / groups_, g.input[axis_] / std::max<std::size_t>(8, 4 * shared)));
  }

  [[nodiscard]] std::size_t count() const { return groups_ * bands_; }

  [[nodiscard]] InputPiece operator[](std::size_t piece) const {
    const std::size_t group = piece / bands_;
    const Range samples{.first = cut(g_.batch, group, groups_), .last = cut(g_.batch, group + 1, groups_)};
    const std::size_t outputs = volume_of(g_.output);
    Box box = whole(g_.input);
    const Range rows{.first = samples.first * outputs, .last = samples.last * outputs};
    if (bands_ == 1) return {.samples = samples, .box = box, .rows = rows};

    // a band of one sample: the outputs o with a tap in it, band.first − reach ≤ o·stride − padding < band.last
    Range& band = box[axis_];
    band = {.first = cut(band.last, piece % bands_, bands_), .last = cut(band.last, piece % bands_ + 1, bands_)};
    const std::size_t reach = (g_.kernel[axis_] - 1) * g_.dilation[axis_];
    const std::ptrdiff_t start = static_cast<std::ptrdiff_t>(reach) - static_cast<std::ptrdiff_t>(g_.padding[axis_]);
    const Range from = steps_within(start, g_.stride[axis_], band, g_.output[axis_]);
    const Range to = steps_within(start - static_cast<std::ptrdiff_t>(reach), g_.stride[axis_], band, g_.output[axis_]);
    const std::size_t inner = outputs / g_.output[axis_];
    return {.samples = samples,
            .box = box,
            .rows = {.first = rows.first + (from.first * inner), .last = rows.first + (to.last * inner)}};
  }

 private:
  const ConvGeometry& g_;
  std::size_t axis_ = 0;
  std::size_t groups_ = 1;
  std::size_t bands_ = 1;
};

void clear(const ConvGeometry& g, const InputPiece& piece, std::span<float> dx) {
  const auto& [planes, rows, columns] = piece.box;
  for (std::size_t sample = piece.samples.first; sample < piece.samples.last; ++sample) {
    for (std::size_t z = planes.first; z < planes.last; ++z) {
      for (std::size_t y = rows.first; y < rows.last; ++y) {
        const std::size_t row = ((((sample * g.input[0]) + z) * g.input[1]) + y) * g.input[2];
        std::ranges::fill(dx.subspan((row + columns.first) * g.channels, columns.count() * g.channels), 0.0F);
      }
    }
  }
}

// Adds patches of the positions from `first` on to the inputs of a box.
void scatter_patches(const ConvGeometry& g, MatrixView<const float> patches, std::size_t first, const Box& box,
                     std::span<float> dx) {
  Position position = Position::of_row(g, first);
  for (std::size_t row = 0; row < patches.rows; ++row) {
    const float* const patch = patches.rows_from(row, 1).data;
    for_each_run(g, position, Taps(g, position, box), [&](std::size_t to, std::size_t from, std::size_t count) {
      float* const target = dx.data() + to;
      for (std::size_t i = 0; i < count; ++i) target[i] += patch[from + i];
    });
    position.advance(g);
  }
}

}  // namespace

void conv_input_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<const float> w,
                         std::span<float> dx) {
  const std::size_t patch = geometry.patch();
  const MatrixView<const float> all(dy.data(), geometry.rows(), geometry.filters);
  const MatrixView<const float> kernel(w.data(), patch, geometry.filters);
  const InputPieces pieces(geometry);
  parallel_for(pieces.count(), conv_flops(geometry), [&](std::size_t index) {
    const InputPiece piece = pieces[index];
    const bool direct = geometry.pointwise();
    if (!direct) clear(geometry, piece, dx);
    Scratch own;
    for (std::size_t at = piece.rows.first; at < piece.rows.last; at += rows_at_once(geometry)) {
      const std::size_t count = std::min(rows_at_once(geometry), piece.rows.last - at);
      // patches ← dy · Wᵀ
      const MatrixView<float> patches =
          direct ? MatrixView<float>(dx.data() + (at * patch), count, patch) : own.matrix(count, patch);
      blas::gemm(1.0F, all.rows_from(at, count), kernel.transposed(), 0.0F, patches);
      if (!direct) scatter_patches(geometry, patches, at, piece.box, dx);
    }
  });
}

}  // namespace cgfac
