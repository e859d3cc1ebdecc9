#pragma once

#include <cstddef>
#include <vector>

#include "core/block/patches.h"

namespace cgfac::test {

/// The number that a window sees, by its definition: zero beyond the data.
inline float seen(const PatchShape& shape, const float* sample, const PatchShape::Extents& window,
                  const PatchShape::Extents& tap, std::size_t channel) {
  long at = 0;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const long place = static_cast<long>((window[axis] * shape.strides[axis]) + (tap[axis] * shape.dilations[axis])) -
                       static_cast<long>(shape.pad[axis]);
    if (place < 0 || place >= static_cast<long>(shape.size[axis])) return 0;
    at = (at * static_cast<long>(shape.size[axis])) + place;
  }
  return sample[(static_cast<std::size_t>(at) * shape.channels) + channel];
}

/// Calls `body` for all places of three axes in their order.
template <typename Body>
void each_place(const PatchShape::Extents& extents, const Body& body) {
  for (std::size_t i = 0; i < extents[0]; ++i) {
    for (std::size_t j = 0; j < extents[1]; ++j) {
      for (std::size_t k = 0; k < extents[2]; ++k) body(PatchShape::Extents{i, j, k});
    }
  }
}

}  // namespace cgfac::test
