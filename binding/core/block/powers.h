#pragma once

#include <string_view>

#include "core/base/matrix_view.h"
#include "core/block/solution.h"

/// Multiples by powers of two, which round nothing within the range of float32.
namespace cgfac {

/// What is expected of a solution, as an error says it.
inline constexpr std::string_view a_solution = "a solution within the range of float32";
/// What is expected of a product, as an error says it.
inline constexpr std::string_view products_within = "products within the range of float32";

/// The exponent of the square root of a number > 0, rounded towards 0; 0 for 0.
[[nodiscard]] int root_exponent(double x);

/// to ← 2^exponent · from, in row-major order; returns what is behind it
float* copy_scaled(MatrixView<const float> from, int exponent, float* to);
/// to ← 2^exponent · from
void copy_scaled(const WeightView<const float>& from, int exponent, const WeightView<float>& to);

/// out ← keep·out + factor·2^exponent·x in float64. Throws Error(not_finite) that expects `what`, with `out`
/// untouched, where x is not finite or the sum may leave the range of float32.
void write_scaled(const WeightView<const float>& x, int exponent, const Destination& destination,
                  std::string_view what = a_solution);
/// Throws Error(not_finite) where keep·out + y may leave the range of float32 for a y of that norm.
void require_sum_in_range(const Destination& destination, double norm);

}  // namespace cgfac
