#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/base/names.h"
#include "core/block/side.h"

namespace cgfac {

/// What a side's factor is made of besides the last batch.
enum class FactorHistory {
  none,   ///< nothing but older rows that fill up a short batch
  panel,  ///< a running average by its leading directions, rank × dimension; dense where the dimension is small
  dense,  ///< a running average, dimension × dimension
};

/// The names of the histories as options.
template <>
inline constexpr std::array<std::string_view, 3> names_of<FactorHistory>{"none", "panel", "dense"};

/// A factor of independent blocks, each of a small matrix of its own, as the channels of a depthwise convolution are.
struct FactorBlocks {
  std::size_t count = 0;     ///< none: the factor is one matrix
  bool interleaved = false;  ///< whether a row has the first coordinate of all blocks, then the second; else block by
                             ///< block. A homogeneous coordinate is one of each block.
  bool one_damping = false;  ///< whether γ is the same for all, ρ² times their mean; else in proportion to their traces
};

/// How a factor is averaged, or what fills it up.
struct FactorOptions {
  FactorHistory history = FactorHistory::none;
  double decay = 0.95;                ///< δ, the weight of what was there
  std::size_t rank = 128;             ///< r, directions that a panel keeps
  std::size_t panel_rows = 128;       ///< b, rows of a batch that enter a panel
  std::size_t window = 1;             ///< without a history: rows that fill up a batch, once there were so many
  bool fills_up = false;              ///< without a history: a batch is filled up to as many rows as the one before
  std::size_t dense_dimension = 200;  ///< the largest dimension of which a panel is dense
  bool diagonal = false;              ///< a running average of the diagonal alone, whatever the history
  std::size_t columns = 0;  ///< of the diagonal of a matrix, each number the product of two means: its columns
  bool exact = false;       ///< the factor is known without an error: it is not damped
  FactorBlocks blocks{};    ///< a running average of each block, whatever the history
};

/// Calls `visit(name, member)` for each of the options that have a name.
template <typename Visit>
void each_option(FactorOptions& options, const Visit& visit) {
  visit("factorHistory", options.history);
  visit("factorDecay", options.decay);
  visit("rank", options.rank);
  visit("panelRows", options.panel_rows);
  visit("window", options.window);
  visit("fillsUp", options.fills_up);
}

/// What a factor needs to go on with: `Factor::restore` makes the same factor of it, bit for bit.
struct FactorState {
  std::vector<float> rows{};      ///< rows or panel, count × dimension
  std::vector<double> squares{};  ///< of a panel's rows, count
  std::vector<float> average{};   ///< dimension × dimension, or the dimension of a diagonal
  double scale = 0;               ///< of rows
  double trace = 0;               ///< NaN where it follows from the rows
  std::size_t refreshes = 0;
  std::size_t dimension = 0;
  std::size_t own = 0;  ///< of rows, those of the last batch itself
};

/// What damping of a factor depends on.
struct FactorMoments {
  double trace = 0;           ///< tr F, of all rows
  double kept_trace = 0;      ///< of those alone that a panel holds
  std::size_t dimension = 0;  ///< d
  std::size_t held = 0;       ///< eigenvalues that F's form holds: a panel's rows, or d
  bool exact = false;         ///< whether it is to stay undamped
  bool squared = false;       ///< whether relative damping is relative by its square: of a block without another side

  /// tr F/d, which π is made of.
  [[nodiscard]] double mean() const { return trace / static_cast<double>(dimension); }
  /// What relative damping is relative to: tr F over the number of eigenvalues that are held.
  [[nodiscard]] double mean_held() const { return held == 0 ? 0 : trace / static_cast<double>(held); }
  /// γ for what a panel cut off, (tr F − Σs)/d: the mean of the eigenvalues that it lost.
  [[nodiscard]] double cut_off() const { return (trace - kept_trace) / static_cast<double>(dimension); }
};

/// One side's factor F, kept from one step to others:
///
///   rows      F = scale · RᵀR, R count × d, those of the last batch and, where that is short, of batches before
///   panel     F ≈ PᵀP, rows of P orthogonal
///   dense     F itself, d × d
///   diagonal  diag F, d numbers
///   blocks    one matrix for each, side² numbers
///
/// An average weighs refresh i of k by δ^(k − i)·(1 − δ)/(1 − δ^k): it keeps the share β_k = 1 − (1 − δ)/(1 − δ^k) of
/// what was there, so that the first batch, of a network that is not trained yet, weighs no more than any other. A
/// panel becomes the leading directions of [√β·P ; √((1 − β)·scale·N/b)·S] with b of the N fresh rows S, one drawn from
/// each of b stretches of them.
///
/// Source of the average's start: D. Kingma and J. Ba, "Adam", 2015, §3; of the low-rank average: M. Brand,
/// "Incremental singular value decomposition of uncertain data with missing values", 2002, for the Kronecker factors of
/// J. Martens and R. Grosse, 2015, §6.5 (running averages).
class Factor {
 public:
  Factor(std::size_t features, bool homogeneous, const FactorOptions& options);

  /// What a batch without a history is made of.
  struct Fresh {
    Side rows;                            ///< all of them finite
    double trace = 0;                     ///< of `rows`
    std::size_t wanted = 0;               ///< rows that older ones fill it up to, as far as there are
    std::shared_ptr<const void> owner{};  ///< of the rows: kept as long as they are the factor's; none: they are copied
    /// The factor of the batch itself, as an average is kept, where its rows are elsewhere: `rows` tells their number.
    std::span<const float> average{};
  };
  /// Takes in a batch's rows. Throws Error(shape_mismatch) for a given factor where no average is kept.
  void refresh(const Fresh& fresh);
  /// Takes back the last refresh since `settle`, if there was one, as if it had not been: of a step that is not taken.
  void roll_back();
  /// What was taken in stays.
  void settle();

  [[nodiscard]] bool started() const { return now_.refreshes > 0; }
  [[nodiscard]] std::size_t dimension() const { return features_ + (homogeneous_ ? 1 : 0); }
  /// As the solvers see it; valid until the next refresh, roll-back or reset.
  [[nodiscard]] Side side() const;
  /// Whether a last coordinate of 1 is a part of its rows.
  [[nodiscard]] bool homogeneous() const { return homogeneous_; }
  [[nodiscard]] bool is_diagonal() const { return options_.diagonal; }
  /// The numbers of a factor that is a diagonal, where it has started.
  [[nodiscard]] std::span<const float> diagonal() const { return now_.average.held(dimension()); }
  /// Columns of the matrix whose numbers the diagonal belongs to, where it is the product of two means; 0 of no such.
  [[nodiscard]] std::size_t columns() const { return options_.columns; }
  [[nodiscard]] const FactorBlocks& blocks() const { return options_.blocks; }
  /// The dimension of each block.
  [[nodiscard]] std::size_t block_side() const { return (features_ / options_.blocks.count) + (homogeneous_ ? 1 : 0); }
  /// The matrix of a block, where it has started.
  [[nodiscard]] MatrixView<const float> block(std::size_t index) const {
    const std::size_t side = block_side();
    return {now_.average.held(average_size()).data() + (index * side * side), side, side};
  }
  /// Numbers of an average: of both triangles, of the diagonal, or of all blocks; 0 of rows and of a panel.
  [[nodiscard]] std::size_t average_size() const;
  /// The average, where it is kept and has started.
  [[nodiscard]] std::span<const float> average() const { return now_.average.held(average_size()); }
  /// Refreshes so far.
  [[nodiscard]] std::size_t refreshes() const { return now_.refreshes; }
  /// Squared norms of a panel's orthogonal rows, the largest first; empty where it has none.
  [[nodiscard]] std::span<const double> squares() const { return now_.squares; }
  [[nodiscard]] FactorMoments moments() const;
  /// Of the last batch itself: rows that did not fill it up.
  [[nodiscard]] std::size_t own() const { return now_.own; }
  /// Rows that went into the factor at the last refresh, older ones that filled it up among them.
  [[nodiscard]] std::size_t rows_taken() const { return now_.rows_taken; }

  /// What the factor needs to go on with; a copy.
  [[nodiscard]] FactorState state() const;
  /// Throws Error(shape_mismatch) for the state of another factor, Error(not_finite) for numbers that are not,
  /// Error(invalid_value) for numbers that no factor has.
  void check(const FactorState& state) const;
  /// Checks it and takes it over.
  void restore(const FactorState& state);
  void reset();
  /// The factor's own memory: rows that are kept by their owner do not count.
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Kept {
    std::size_t refreshes = 0;
    std::size_t rows_taken = 0;
    std::size_t own = 0;
    std::size_t count = 0;               // of rows or of the panel
    Buffer<float> rows;                  // R without its homogeneous coordinate, or P
    MatrixView<const float> borrowed{};  // R, where it has an owner
    std::shared_ptr<const void> owner;
    double scale = 0;  // of R
    std::vector<double> squares;
    Buffer<float> average;
    double trace = 0;
  };
  // whether no solver sees its rows or its matrix
  [[nodiscard]] bool by_number() const { return options_.diagonal || options_.blocks.count > 0; }
  [[nodiscard]] bool dense() const;
  [[nodiscard]] bool panel() const { return options_.history == FactorHistory::panel && !dense() && !by_number(); }
  [[nodiscard]] MatrixView<const float> stack_of(const Kept& kept) const;
  void check_average(const FactorState& state) const;
  // each makes the next factor of `now_` in `other_`
  void refresh_rows(const Fresh& fresh);
  void refresh_panel(const Fresh& fresh);
  void refresh_average(const Fresh& fresh);
  void refresh_diagonal(const Fresh& fresh);
  void refresh_blocks(const Fresh& fresh);
  void refresh_given(const Fresh& fresh);
  MatrixView<float> stacked(const Fresh& fresh, double share, std::size_t taken);
  void keep_leading(MatrixView<const float> stack, MatrixView<float> gram);

  std::size_t features_;
  bool homogeneous_;
  FactorOptions options_;
  Kept now_;
  Kept other_;                  // before the last refresh
  bool can_roll_back_ = false;  // whether `other_` is that
  Buffer<float> single_;        // a panel's stack and its Gram matrix
  Buffer<double> work_;
};

}  // namespace cgfac
