#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/matrix_view.h"

namespace cgfac {

/// The output distributions whose targets can be sampled; the Gaussian is of unit variance about the outputs.
enum class Distribution { categorical, bernoulli, gaussian };

/// Uniform numbers in [0, 1), by xoshiro128** on four words that somebody else owns, so that a stream can be drawn from
/// in JavaScript and here in turn.
///
/// Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators", 2021.
class UniformNumbers {
 public:
  explicit UniformNumbers(std::span<std::uint32_t, 4> state) : state_(state) {}
  /// The next number.
  [[nodiscard]] double next();

 private:
  std::span<std::uint32_t, 4> state_;
};

/// errors ← factor · (p − y) for targets y sampled from the model's own output distribution: the gradient of the
/// negative log-likelihood with respect to the logits. A categorical row takes one uniform number, a Bernoulli one for
/// each of its numbers, a Gaussian two. `factors` has one for each of as many equal groups of rows.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015,
/// §5 (sampled targets); G. Box and M. Muller, "A note on the generation of random normal deviates", 1958.
void sample_errors(Distribution distribution, MatrixView<const float> probabilities, std::span<const double> factors,
                   UniformNumbers& uniform, MatrixView<float> errors);

}  // namespace cgfac
