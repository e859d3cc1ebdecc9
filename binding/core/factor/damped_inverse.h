#pragma once

#include <cstddef>

#include "core/base/buffer.h"
#include "core/factor/factor.h"
#include "core/factor/inverse_view.h"

namespace cgfac {

/// Whether a damping γ of a factor can be had: γ and 1/γ in the range of float32.
[[nodiscard]] bool can_damp(double gamma);

/// (F + γI)⁻¹ of a factor that outlives a batch, with its memory.
class DampedInverse {
 public:
  /// Makes (F + γI)⁻¹ of the factor as it is, unless it is there: γ > 0, beyond the rounding of F, with what a panel
  /// cut off in it; or γ = 0 of a factor that is exact. `relative`: blocks are damped by their own traces, γ their
  /// mean. Throws Error(invalid_value) where γ is none that can be had.
  void damp(const Factor& factor, double gamma, bool relative = false);
  /// The factor has changed.
  void forget() { made_ = false; }

  [[nodiscard]] double gamma() const { return view_.gamma; }
  [[nodiscard]] const InverseView& view() const { return view_; }
  /// F's largest eigenvalue, from below by a few steps of the power method (exact for a panel), as of `damp`.
  [[nodiscard]] double largest() const { return largest_; }
  /// Σ s/(s + γ) over the eigenvalues s that are kept, as of `damp`: the directions that the damping leaves.
  [[nodiscard]] double effective_rank() const { return effective_rank_; }

  /// x ← x (F + γI)⁻¹ in place, split over the pool threads.
  void apply(const InverseRows& x);

  /// x ← x (F_c + γ_c I)⁻¹ in place, of a block of a factor that has such.
  void apply_block(std::size_t block, const InverseRows& x) const;

  /// Whether `apply_own` can be had for the first `count` rows of the factor.
  [[nodiscard]] bool has_own(std::size_t count) const;
  /// z ← R' (F + γI)⁻¹ and gram ← R' (F + γI)⁻¹ R'ᵀ for the first rows R' of the factor: z = S R' and
  /// gram = (I − γS)/scale, without a cancellation.
  void apply_own(MatrixView<float> z, MatrixView<float> gram);

  [[nodiscard]] std::size_t bytes() const { return s_.bytes() + single_.bytes() + scratch_.bytes(); }

 private:
  void damp_panel();
  void damp_diagonal(std::span<const float> numbers, std::size_t columns);
  void damp_matrix(const Side& side);
  void damp_blocks(const Factor& factor, bool relative);

  InverseView view_;
  bool made_ = false;  // of the factor as it is
  double largest_ = 0;
  double effective_rank_ = 0;
  std::size_t block_side_ = 0;
  Buffer<double> s_;
  Buffer<float> single_;  // of Gram matrices; then (F + γI)⁻¹ or S in float32
  Buffer<double> scratch_;
};

}  // namespace cgfac
