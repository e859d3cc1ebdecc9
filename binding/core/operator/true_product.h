#pragma once

#include <cstddef>
#include <span>

#include "core/base/buffer.h"
#include "core/block/fisher_block.h"

namespace cgfac {

/// F x in float64, by the rows of each side wherever there are any: what F does to a solution that float32 holds, as
/// exactly as it can be told.
///
/// A product in float32 rounds by its largest terms. Where these cancel, as in the directions that a small λ alone
/// damps, it tells nothing of x, and rows that are alike do not average it away; forming A or G rounds as much.
class TrueProduct {
 public:
  /// Memory of the numbers, kept from one product to the next.
  struct Memory {
    Buffer<double> x;
    Buffer<double> image;
    Buffer<double> right;      // x A
    Buffer<double> side;       // the rows of a side
    Buffer<double> projected;  // what they make of x
    Buffer<double> v;

    /// What it holds, in bytes.
    [[nodiscard]] std::size_t bytes() const {
      return x.bytes() + image.bytes() + right.bytes() + side.bytes() + projected.bytes() + v.bytes();
    }
  };

  /// Whether the copies in float64, of both sides and of the vectors of weight space, are few enough to be made.
  [[nodiscard]] static bool affordable(const FisherBlock& block);

  /// Forms F x.
  TrueProduct(const FisherBlock& block, const WeightView<const float>& x, Memory& memory);

  /// x, and F x: outFeatures × inFeatures (+ 1 with a bias), row-major.
  [[nodiscard]] std::span<const double> x() const { return x_; }
  [[nodiscard]] std::span<const double> image() const { return image_; }
  /// A vector of weight space in that form.
  [[nodiscard]] std::span<const double> in_float64(const WeightView<const float>& v) const;

 private:
  Memory& memory_;
  std::span<double> x_;
  std::span<double> image_;
};

}  // namespace cgfac
