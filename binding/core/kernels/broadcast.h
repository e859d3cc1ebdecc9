#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// How two arrays meet: as TensorFlow.js, and NumPy before it, broadcast them.
namespace cgfac {

/// An axis of a result, and how far a step along it goes in either array: 0 where that has one place for all.
struct BroadcastAxis {
  std::size_t extent;
  std::size_t a;
  std::size_t b;
};

/// The places of a result of two arrays, row-major: an extent of 1 stands for all places along its axis.
class BroadcastPlaces {
 public:
  /// Shapes of one rank, each extent at least 1. Throws Error(shape_mismatch) where two extents differ and neither
  /// is 1.
  BroadcastPlaces(std::span<const std::uint32_t> shape_a, std::span<const std::uint32_t> shape_b);

  /// Numbers of a, of b and of the result.
  [[nodiscard]] std::size_t size_a() const { return size_a_; }
  [[nodiscard]] std::size_t size_b() const { return size_b_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Where the row of a result, with those of the axes before it, begins in each array.
  struct Origin {
    std::size_t a;
    std::size_t b;
  };
  /// That of a row, in the order of the result's.
  [[nodiscard]] Origin origin(std::size_t row) const;

  /// All rows: places of all axes but the last.
  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// The last axis but one, along which rows follow each other; of extent 1 where there is one axis alone.
  [[nodiscard]] const BroadcastAxis& row() const { return axes_[axes_.size() - 2]; }
  /// The last axis, along which steps are 0 or 1.
  [[nodiscard]] const BroadcastAxis& columns() const { return axes_.back(); }

 private:
  // Two at the least. Two neighbours differ in which of the arrays has places along them; those that do not are one.
  std::vector<BroadcastAxis> axes_;
  std::size_t size_a_ = 1;
  std::size_t size_b_ = 1;
  std::size_t size_ = 1;
  std::size_t rows_ = 1;
};

}  // namespace cgfac
