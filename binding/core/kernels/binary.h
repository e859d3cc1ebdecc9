#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/broadcast.h"

/// Functions of two arrays, place by place, as a broadcast has them. The arrays are as long as it says; `out` shares
/// no memory with the others. Every number is one IEEE 754 operation, or two; it has the same bits for any number of
/// threads.
namespace cgfac {

/// Functions of two numbers. maximum and minimum are those of IEEE 754-2019, section 9.6: NaN where either is NaN, and
/// −0 is below 0. squared_difference is (a − b)², leaky_relu is a where that is not negative, else a·b; step is 1 where
/// a is positive, NaN where it is NaN, else b.
enum class Arithmetic : unsigned char {
  add,
  subtract,
  multiply,
  divide,
  maximum,
  minimum,
  squared_difference,
  leaky_relu
};
/// out ← f(a, b).
void binary(Arithmetic function, const BroadcastPlaces& shape, const float* a, const float* b, float* out);

/// Relations of two numbers: NaN is not equal to any number, and in no other relation to one.
enum class Comparison : unsigned char { equal, not_equal, less, less_equal, greater, greater_equal };
/// out ← 1 where the relation holds, else 0.
void binary(Comparison relation, const BroadcastPlaces& shape, const float* a, const float* b, std::uint8_t* out);

/// Functions of two truth values, each true unless it is 0.
enum class Logical : unsigned char { conjunction, disjunction, exclusive_disjunction };
/// out ← f(a, b), 0 or 1.
void binary(Logical function, const BroadcastPlaces& shape, const std::uint8_t* a, const std::uint8_t* b,
            std::uint8_t* out);

}  // namespace cgfac
