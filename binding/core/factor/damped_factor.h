#pragma once

#include <cstddef>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/block/side.h"

namespace cgfac {

/// What a side's factor is made of besides the last batch.
enum class FactorHistory {
  none,   ///< nothing but older rows that fill up a short batch
  panel,  ///< a running average by its leading directions, rank × dimension; where the dimension is at most
          ///< `dense_dimension`, dense
  dense,  ///< a running average, dimension × dimension
};

struct FactorOptions {
  FactorHistory history = FactorHistory::none;
  double decay = 0.95;          ///< δ, the weight of what was there
  std::size_t rank = 128;       ///< r, directions that are kept
  std::size_t panel_rows = 64;  ///< b, rows of a batch that enter a panel
  std::size_t window = 1;  ///< without a history: rows that a factor is made of at the least, once there were so many
  std::size_t dense_dimension = 200;
};

/// What a factor needs to go on with: `restore` makes the same factor of it, bit for bit.
struct FactorState {
  std::vector<float> rows;      ///< rows or panel, count × dimension
  std::vector<double> squares;  ///< of a panel's rows, count
  std::vector<float> average;   ///< dimension × dimension
  double scale = 0;             ///< of rows
  double trace = 0;
  double gamma = 0;  ///< 0 where it is not damped
  std::size_t refreshes = 0;
  std::size_t dimension = 0;
};

/// One side's factor F, kept from one step to others, and (F + γI)⁻¹ applied to rows:
///
///   rows    F = scale · RᵀR, R count × d       z (F + γI)⁻¹ = (z − scale · (z Rᵀ) S R)/γ, S = (scale · R Rᵀ + γI)⁻¹
///   panel   F ≈ PᵀP, rows of P orthogonal      z (F + γI)⁻¹ = (z − ((z Pᵀ)/(s + γ)) P)/γ, s their squared norms
///   dense   F itself, d × d                    z (F + γI)⁻¹
///
/// Rows that outnumber d are multiplied out and inverted as a dense factor is. An average weighs refresh i of k by δ^(k
/// − i)·(1 − δ)/(1 − δ^k): it keeps the share β_k = 1 − (1 − δ)/(1 − δ^k) of what was there, so that the first batch,
/// of a network that is not trained yet, weighs no more than any other. A panel becomes the leading directions of [√β·P
/// ; √((1 − β)·scale·N/b)·S] with b of the N fresh rows S, one drawn from each of b stretches of them, and what is cut
/// off goes into the damping: γ ← γ + (tr F − Σs)/d.
///
/// Source of the average's start: D. Kingma and J. Ba, "Adam", 2015, §3; of the low-rank average: M. Brand,
/// "Incremental singular value decomposition of uncertain data with missing values", 2002, for the Kronecker factors of
/// J. Martens and R. Grosse, 2015, §6.5 (running averages); of the inverse: the Woodbury identity.
class DampedFactor {
 public:
  /// `dimension` includes the homogeneous coordinate.
  DampedFactor(std::size_t dimension, const FactorOptions& options);

  /// Takes in a batch's rows. They are copied; all of them must be finite. `share`: of the batch's samples, those that
  /// rows are there of; a stack fills up as large a share of the window.
  void refresh(const Side& rows, double share = 1);
  /// Takes back the last refresh since `settle`, if there was one, as if it had not been: of a step that is not taken
  /// after all.
  void roll_back();
  /// What was taken in stays.
  void settle() { can_roll_back_ = false; }
  [[nodiscard]] bool started() const { return now_.refreshes > 0; }
  /// tr F, of all rows, and of those alone that a panel holds
  [[nodiscard]] double trace() const { return now_.trace; }
  [[nodiscard]] double kept_trace() const;
  /// What relative damping is relative to: tr F over the number of eigenvalues, those of a panel or all d.
  [[nodiscard]] double mean_eigenvalue() const;
  [[nodiscard]] std::size_t dimension() const { return dimension_; }
  /// Rows of the panel or of the stack; 0 where dense.
  [[nodiscard]] std::size_t rank() const { return form() == Form::dense ? 0 : now_.count; }
  /// Rows that went into the factor at the last refresh, older ones of a stack among them.
  [[nodiscard]] std::size_t rows() const { return now_.rows_taken; }

  /// Whether `damp` can be had: γ and 1/γ in the range of float32.
  [[nodiscard]] bool can_damp(double gamma) const;
  /// Makes (F + γI)⁻¹, γ > 0 and beyond the rounding of F. Throws Error(invalid_value) where it is not.
  void damp(double gamma);
  /// What `damp` was given, and the cut-off.
  [[nodiscard]] double gamma() const { return gamma_; }
  /// F's largest eigenvalue, from below by a few steps of the power method (exact for a panel), as of `damp`.
  [[nodiscard]] double largest() const { return largest_; }
  /// Σ s/(s + γ) over the eigenvalues s that are kept, as of `damp`: the directions that the damping leaves.
  [[nodiscard]] double effective_rank() const { return effective_rank_; }

  /// x ← x (F + γI)⁻¹ in place; `last` is x's last column where that lies apart from `body`. Split over the pool
  /// threads.
  void apply(MatrixView<float> body, MatrixView<float> last, Buffer<float>& scratch) const;
  /// Flops for a row.
  [[nodiscard]] double flops_per_row() const;

  /// Whether `apply_own` can be had for this many of the rows that were taken in last.
  [[nodiscard]] bool has_own(std::size_t count) const { return form() == Form::rows && count <= now_.count; }
  /// z ← R' (F + γI)⁻¹ and gram ← R' (F + γI)⁻¹ R'ᵀ for R', the rows taken in last: z = S R' and gram = (I − γS)/scale,
  /// without a cancellation.
  void apply_own(MatrixView<float> z, MatrixView<float> gram) const;

  [[nodiscard]] FactorState state() const;
  /// Throws Error(shape_mismatch) for the state of another factor.
  void restore(const FactorState& state);
  void reset();
  [[nodiscard]] std::size_t bytes() const;

 private:
  enum class Form { rows, panel, dense };
  // The factor itself, everything but its inverse.
  struct Kept {
    std::size_t refreshes = 0;
    std::size_t rows_taken = 0;
    std::size_t count = 0;  // of rows or of the panel
    Buffer<float> rows;     // R or P
    double scale = 0;       // of R
    std::vector<double> squares;
    Buffer<float> average;
    double trace = 0;
  };
  [[nodiscard]] Form form() const;
  [[nodiscard]] bool averaged_densely() const;
  [[nodiscard]] double total_gamma(double gamma) const;
  // each makes the next factor of `now_` in `other_`
  void refresh_rows(const Side& rows, std::size_t window);
  void refresh_panel(const Side& rows);
  void refresh_average(const Side& rows);

  std::size_t dimension_;
  FactorOptions options_;
  Kept now_;
  Kept other_;                  // before the last refresh
  bool can_roll_back_ = false;  // whether `other_` is that
  double asked_gamma_ = 0;
  double gamma_ = 0;
  double largest_ = 0;
  double effective_rank_ = 0;
  Buffer<float> inverse_;  // S, or of the dense factor
  Buffer<float> single_;   // of Gram matrices, and of stacks
  Buffer<double> work_;
};

}  // namespace cgfac
