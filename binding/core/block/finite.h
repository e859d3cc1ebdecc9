#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "core/base/matrix_view.h"
#include "core/block/gradient.h"

/// The searches that name a NaN or an infinity. Sums that every call takes anyway show that there is one (traces, ‖v‖²,
/// norms of products); only then are arrays searched.
namespace cgfac {

/// Norms are kept a factor 4 inside the range of float32, so that the sum of two vectors stays inside as well.
inline constexpr double largest_norm = static_cast<double>(std::numeric_limits<float>::max()) / 4;

/// Whether no number is NaN or infinite: one pass, split over the pool threads.
[[nodiscard]] bool all_finite(std::span<const float> numbers);
/// Throws Error(not_finite) "Expected finite numbers for NAME but received NaN at index i" if `numbers` has such an
/// element.
void require_finite(std::string_view name, std::span<const float> numbers);
/// Throws as for an array, with i counted along the rows of the matrix, which may have gaps.
void require_finite(std::string_view name, const MatrixView<const float>& numbers);
/// Throws as for an array, of NAME, or of NAME.kernel and NAME.bias where there is a bias.
void require_finite(std::string_view name, const WeightView<const float>& v);
/// Throws as for an array, of the rows or the factor of either side.
void require_finite(const FisherBlock& block);

/// Searches everything that enters a product once a result turned out not to be finite, so that the error names its
/// cause: both sides, and v as NAME. Always throws: where all is finite, the product itself left the range of float32.
[[noreturn]] void throw_not_finite(const FisherBlock& block, std::string_view name, const WeightView<const float>& v);
/// Searches and throws as for a v of the name "v", or the rows that a batch's own gradient is made of.
[[noreturn]] void throw_not_finite(const FisherBlock& block, const Gradient& gradient);

}  // namespace cgfac
