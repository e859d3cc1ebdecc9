#include "core/kernels/broadcast.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/base/error.h"

namespace cgfac {

BroadcastPlaces::BroadcastPlaces(std::span<const std::uint32_t> shape_a, std::span<const std::uint32_t> shape_b) {
  bool along_a = true;
  bool along_b = true;
  axes_.push_back({.extent = 1, .a = 0, .b = 0});
  for (std::size_t axis = shape_a.size(); axis > 0;) {
    --axis;
    const std::size_t a = shape_a[axis];
    const std::size_t b = shape_b[axis];
    if (a != b && a != 1 && b != 1) {
      throw expected(ErrorCode::shape_mismatch, "extents that are equal, or 1", "a broadcast",
                     std::to_string(a) + " and " + std::to_string(b));
    }
    const std::size_t extent = std::max(a, b);
    if (extent == 1) continue;
    if (extent > std::numeric_limits<std::uint32_t>::max() / size_) {
      throw expected(ErrorCode::shape_mismatch, "extents with a product below 2^32", "a broadcast",
                     std::to_string(extent));
    }
    size_ *= extent;
    const bool merged = axes_.back().extent == 1 || (along_a == (a != 1) && along_b == (b != 1));
    if (!merged) axes_.push_back({.extent = 1, .a = 0, .b = 0});
    along_a = a != 1;
    along_b = b != 1;
    BroadcastAxis& now = axes_.back();
    if (now.extent == 1) now = {.extent = 1, .a = along_a ? size_a_ : 0, .b = along_b ? size_b_ : 0};
    now.extent *= extent;
    size_a_ *= a;
    size_b_ *= b;
  }
  if (axes_.size() == 1) axes_.push_back({.extent = 1, .a = 0, .b = 0});
  std::ranges::reverse(axes_);
  for (std::size_t axis = 0; axis + 1 < axes_.size(); ++axis) rows_ *= axes_[axis].extent;
}

BroadcastPlaces::Origin BroadcastPlaces::origin(std::size_t row) const {
  Origin at{.a = 0, .b = 0};
  for (std::size_t axis = axes_.size() - 1; axis > 0;) {
    --axis;
    const BroadcastAxis& along = axes_[axis];
    const std::size_t place = row % along.extent;
    row /= along.extent;
    at.a += place * along.a;
    at.b += place * along.b;
  }
  return at;
}

}  // namespace cgfac
