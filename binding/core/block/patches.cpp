#include "core/block/patches.h"

#include <algorithm>

#include "core/base/scattered.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Numbers that are worth a thread of their own.
constexpr std::size_t piece = 1U << 16U;

// Calls `body(first, count)` for ranges of rows, on the pool.
template <typename Body>
void in_ranges(std::size_t rows, std::size_t width, const Body& body) {
  const std::size_t pieces = std::clamp<std::size_t>(rows * width / piece, 1, std::max<std::size_t>(rows, 1));
  parallel_for(pieces, [&](std::size_t i) {
    const std::size_t first = rows * i / pieces;
    body(first, (rows * (i + 1) / pieces) - first);
  });
}

// Which of `all` rows is the i-th of as many as are drawn.
std::size_t drawn_row(std::uint64_t stream, std::size_t i, std::size_t rows, std::size_t all) {
  const double place = static_cast<double>(i) + (rows < all ? scattered(stream, i) : 0);
  return std::min(static_cast<std::size_t>(place * static_cast<double>(all) / static_cast<double>(rows)), all - 1);
}

}  // namespace

void copy_patch(const PatchShape& shape, const float* sample, std::size_t position, float* to) {
  const std::size_t channels = shape.channels;
  const std::array<std::size_t, 3> place{position / (shape.out[2] * shape.out[1]),
                                         position / shape.out[2] % shape.out[1], position % shape.out[2]};
  // the place of a tap along an axis, counted from the first zero before the data
  const auto along = [&](std::size_t axis, std::size_t tap) {
    return (place[axis] * shape.strides[axis]) + (tap * shape.dilations[axis]);
  };
  const auto inside = [&](std::size_t axis, std::size_t at) {
    return at >= shape.pad[axis] && at - shape.pad[axis] < shape.size[axis];
  };
  for (std::size_t i = 0; i < shape.kernel[0]; ++i) {
    const std::size_t z = along(0, i);
    for (std::size_t j = 0; j < shape.kernel[1]; ++j) {
      const std::size_t y = along(1, j);
      for (std::size_t k = 0; k < shape.kernel[2]; ++k, to += channels) {
        const std::size_t x = along(2, k);
        if (!inside(0, z) || !inside(1, y) || !inside(2, x)) {
          std::fill_n(to, channels, 0.0F);
          continue;
        }
        const std::size_t row = ((z - shape.pad[0]) * shape.size[1]) + (y - shape.pad[1]);
        std::copy_n(sample + (((row * shape.size[2]) + (x - shape.pad[2])) * channels), channels, to);
      }
    }
  }
}

void SideRows::copy(std::size_t row, float* to) const {
  const float* const sample = recorded.data + (row / positions * recorded.cols);
  const std::size_t position = row % positions;
  if (patches != nullptr) {
    copy_patch(*patches, sample, position, to);
  } else {
    std::copy_n(sample + (position * features), features, to);
  }
}

MatrixView<const float> SideRows::of_sample(std::size_t sample, std::vector<float>& memory) const {
  if (patches == nullptr) return {recorded.data + (sample * recorded.cols), positions, features};
  memory.resize(positions * features);
  for (std::size_t t = 0; t < positions; ++t) copy((sample * positions) + t, memory.data() + (t * features));
  return {memory.data(), positions, features};
}

MatrixView<const float> SideRows::drawn(std::size_t most, std::uint64_t stream, std::vector<float>& memory) const {
  const std::size_t all = count();
  if (patches == nullptr && all <= most) return {recorded.data, all, features};
  const std::size_t rows = std::min(all, most);
  memory.resize(rows * features);
  in_ranges(rows, features, [&](std::size_t first, std::size_t length) {
    for (std::size_t i = first; i < first + length; ++i)
      copy(drawn_row(stream, i, rows, all), memory.data() + (i * features));
  });
  return {memory.data(), rows, features};
}

MatrixView<const float> SideRows::drawn(const DrawRange& range, std::vector<float>& memory) const {
  const std::size_t rows = std::min(range.all, range.most);
  std::vector<std::size_t> here;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t row = drawn_row(range.stream, i, rows, range.all);
    if (row >= range.first && row - range.first < count()) here.push_back(row - range.first);
  }
  memory.resize(here.size() * features);
  in_ranges(here.size(), features, [&](std::size_t first, std::size_t length) {
    for (std::size_t i = first; i < first + length; ++i) copy(here[i], memory.data() + (i * features));
  });
  return {memory.data(), here.size(), features};
}

MatrixView<const float> SideRows::summed(double factor, std::vector<float>& memory) const {
  memory.resize(recorded.rows * features);
  in_ranges(recorded.rows, positions * features, [&](std::size_t first, std::size_t length) {
    std::vector<float> own;
    std::vector<double> sums(features);
    for (std::size_t i = first; i < first + length; ++i) {
      const MatrixView<const float> rows = of_sample(i, own);
      std::ranges::fill(sums, 0.0);
      for (std::size_t t = 0; t < rows.rows; ++t) {
        for (std::size_t j = 0; j < features; ++j) sums[j] += static_cast<double>(rows(t, j));
      }
      for (std::size_t j = 0; j < features; ++j) memory[(i * features) + j] = static_cast<float>(factor * sums[j]);
    }
  });
  return {memory.data(), recorded.rows, features};
}

}  // namespace cgfac
