#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/names.h"
#include "core/block/patches.h"
#include "core/factor/factor.h"
#include "core/layer/recorded_rows.h"

namespace cgfac {

/// The side of a layer that a factor belongs to.
enum class LayerSide { input, output };

/// How a share of a batch enters a factor that is made of the rows of several ranks.
enum class ShareForm {
  rows,    ///< rows of it, those that a draw over all ranks finds here
  factor,  ///< the sum of their products, half of a symmetric matrix; of diagonals and blocks always their numbers
};

/// The names of the forms.
template <>
inline constexpr std::array<std::string_view, 2> names_of<ShareForm>{"rows", "factor"};

/// What there is to share of a layer's recorded rows.
struct ShareCounts {
  std::size_t inputs = 0;        ///< numbers that were recorded
  std::size_t loss_grads = 0;    ///< likewise
  std::size_t output_grads = 0;  ///< likewise, of sampled targets
  std::size_t input_rows = 0;    ///< that the factors are made of
  std::size_t output_rows = 0;   ///< likewise
  std::size_t samples = 0;
  std::size_t parts = 0;      ///< numbers that tell which rows were recorded together
  std::size_t refreshes = 0;  ///< of the factors so far
};

/// What the rows of one rank give to one side's factor:
///
///   rows     R, drawn × features, as they were recorded
///   factor   RᵀR, its lower triangle row by row; of diagonals and blocks the factor of the share itself
///
/// The factor of all ranks is Σ RᵀR·(N/m)/B on the input side and Σ factor²·RᵀR/m on the output side, with m rows drawn
/// of N and B samples; and Σ weight·factor/Σ weight of diagonals and blocks.
struct SideShare {
  ShareForm form = ShareForm::rows;
  std::vector<float> numbers{};
  std::size_t drawn = 0;    ///< m, of this rank
  std::size_t count = 0;    ///< N
  std::size_t samples = 0;  ///< B
  double weight = 0;
  double squares = 0;  ///< Σ ‖r‖² of all rows, the homogeneous coordinates among them; NaN where it is not known
  double factor = 1;   ///< makes output gradients those of a sample's own loss
};

/// What the shares of all ranks make of one side.
struct UnitedSide {
  std::vector<float> rows{};
  std::vector<float> average{};
  Side side{};  ///< of `rows`; of an average their number alone
  double trace = 0;

  /// As a factor takes it in, kept by an owner.
  [[nodiscard]] Factor::Fresh fresh(const std::shared_ptr<const void>& owner) const {
    return {.rows = side, .trace = trace, .owner = owner, .average = average};
  }
};

/// What the shares of all ranks make of both sides.
struct UnitedSides {
  UnitedSide input{};
  UnitedSide output{};
};

/// Rows that the factor of one side is made of.
[[nodiscard]] std::size_t side_count(const LayerShape& shape, const LayerRows& rows, LayerSide side);

/// What rows give to a factor of one side that is made of those of all ranks.
[[nodiscard]] SideShare side_share(const LayerShape& shape, const RecordedRows& recorded, LayerSide side, Factor factor,
                                   ShareForm form, const DrawRange& range);

/// The shares of all ranks together, for a factor like `factor`. Throws Error(shape_mismatch) for shares that do not
/// fit it, or that are of several forms.
[[nodiscard]] UnitedSide unite(const Factor& factor, std::size_t features, bool homogeneous, LayerSide side,
                               std::span<const SideShare> shares);

/// A direction between its preparation and its length, as one rank hands it to others: nothing, x, or the rows Z_a
/// before those Z_g of x = scale·Z_gᵀ Z_a.
struct PreparedDirection {
  /// What the numbers are.
  enum class Form { zero, rows, formed };
  Form form = Form::zero;
  std::vector<float> numbers{};
  std::size_t rows = 0;
  double scale = 0;
  double bound = 0;  ///< ≥ ‖x‖
};

}  // namespace cgfac
