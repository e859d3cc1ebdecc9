#pragma once

#include <optional>
#include <span>

#include "core/block/fisher_block.h"

namespace cgfac {

/// What becomes of a direction x once the length of a step is known, in one pass over memory:
///
///   M ← μM + ηx                          M is kept where there is a momentum, else M = ηx
///   M ← M·min(1, largest/‖M‖)            where its norm is bounded
///   W ← (1 − ρη·weightDecay)·W − ρM      of registered weights, unless there is a gradient to be rewritten
///   v ← ρM + ρη·weightDecay·W            of a gradient that is rewritten for whoever applies it
///   W̄ ← β·W̄ + (1 − β)·W                  the average of the new weights
///
/// with the learning rate ρ. At the least one of M, v and W is there, an average has W beside it, and a bound M.
///
/// Sources: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964 (the heavy ball); I.
/// Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019; D. Ruppert, 1988, and B. Polyak and A.
/// Juditsky, 1992 (averages).
struct LayerUpdate {
  double step_size = 1;                         ///< η
  double rate = 1;                              ///< ρ
  double largest = 0;                           ///< of ‖M‖; 0 for no bound
  double momentum = 0;                          ///< μ
  double weight_decay = 0;                      ///< decoupled
  double average_decay = 0;                     ///< β
  std::optional<WeightView<float>> kept{};      ///< M
  std::optional<WeightView<float>> weights{};   ///< W
  std::optional<WeightView<float>> gradient{};  ///< v
  std::optional<WeightView<float>> average{};   ///< W̄
};

/// The elements of an update's arrays, kernel or bias, from `first` on: of the same storage order, `count` of them.
struct UpdatePiece {
  std::span<float> kept;
  std::span<float> weights;
  std::span<float> gradient;
  std::span<float> average;
};
/// A part of an update's kernels.
[[nodiscard]] UpdatePiece kernel_piece(const LayerUpdate& update, std::size_t first, std::size_t count);
/// The biases of an update.
[[nodiscard]] UpdatePiece bias_piece(const LayerUpdate& update);

/// What takes in x itself, array ← keep·array + factor·x: M where it is kept, else v, else W.
struct FirstArray {
  WeightView<float> array;
  double keep = 0;
  double factor = 0;
};
/// The first array of an update. Throws Error(invalid_value) where there is none.
[[nodiscard]] FirstArray first_of(const LayerUpdate& update);

/// The update of one piece by x.
void update_piece(const LayerUpdate& update, std::span<const float> x, const UpdatePiece& to);
/// What is left of it where the first array has taken in x.
void finish_piece(const LayerUpdate& update, const UpdatePiece& to);

/// The whole update, by a direction that lies in memory as the arrays do.
void update_all(const LayerUpdate& update, const WeightView<const float>& x);

/// The whole update by x = 0.
void update_by_zero(const LayerUpdate& update);

/// The update without M and what takes in x: what follows from M, once that is what it is to be.
void finish_all(const LayerUpdate& update);

/// out ← keep·x + factor·y, on the pool; out may be x or y.
void combine_arrays(double keep, std::span<const float> x, double factor, std::span<const float> y,
                    std::span<float> out);

/// W̄ ← β·W̄ + (1 − β)·W
void average_weights(double decay, std::span<const float> weights, std::span<float> average);

}  // namespace cgfac
