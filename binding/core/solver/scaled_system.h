#pragma once

#include <cstddef>
#include <optional>

#include "core/base/buffer.h"
#include "core/block/comfort.h"
#include "core/block/damping.h"
#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/factor/damping.h"
#include "core/solver/spectral.h"

namespace cgfac {

/// The damping of a solve: λ, or γ's of its own for each factor.
struct SolveDamping {
  double lambda = 0;
  bool relative = false;  ///< whether λ is a multiple of the block's mean eigenvalue, which the solver finds
  std::optional<FactoredDamping> gamma{};
};

/// A system whose numbers lie too far from 1 for float32, in which products of three or four of them are taken, as one
/// that can be solved: copies of its rows, gradient and start, each multiplied by a power of two, which rounds nothing.
///
///   a = 2^α a',  g = 2^γ g',  v = 2^ν v'   ⇒   A = 4^α A',  G = 4^γ G',  λ = 4^(α+γ) λ',  x = 2^(ν−2α−2γ) x'
///
/// with tr A', tr G' and ‖v'‖ about 1; where λ' were beyond 2⁵⁰ then, G' is smaller instead, and vanishes in float32
/// where F is nothing beside λ. Costs a copy of everything, and the forming of a batch's own gradient, whose norm
/// tells ν; for systems outside of the comfortable range alone.
class ScaledSystem {
 public:
  /// Memory of the copies, kept from one system to the next.
  struct Memory {
    Buffer<float> input;
    Buffer<float> output;
    Buffer<float> gradient;
    Buffer<float> start;
    Buffer<float> solution;
    Buffer<float> formed;

    /// What it holds, in bytes.
    [[nodiscard]] std::size_t bytes() const {
      return input.bytes() + output.bytes() + gradient.bytes() + start.bytes() + solution.bytes() + formed.bytes();
    }
  };

  /// Throws Error(not_finite) that names its cause where v or the rows hold NaN or infinity.
  ScaledSystem(const FisherBlock& block, const BlockTraces& traces, const SolveDamping& damping,
               const Gradient& gradient, const std::optional<WeightView<const float>>& x0, Memory& memory);

  [[nodiscard]] const FisherBlock& block() const { return block_; }
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  [[nodiscard]] const SolveDamping& damping() const { return damping_; }
  [[nodiscard]] const Gradient& gradient() const { return gradient_; }
  [[nodiscard]] const std::optional<WeightView<const float>>& x0() const { return x0_; }
  /// Where x' is to be written.
  [[nodiscard]] const Destination& destination() const { return destination_; }

  /// out ← keep·out + factor·x, by x' as it was written. Throws Error(not_finite), with `out` untouched, where that
  /// leaves the range of float32.
  void write(const Destination& destination) const;
  /// out ← (F + λI) v by (F' + λ'I) v' as it was written; throws as above.
  void write_image(const WeightView<float>& out) const;
  /// The inner products of x from those of x'.
  [[nodiscard]] SolutionProducts products(const SolutionProducts& scaled) const;
  /// What the spectrum of the scaled system is of this one.
  void restore(Spectrum& spectrum) const;
  /// An eigenvalue of F from one of F'.
  [[nodiscard]] double eigenvalue(double scaled) const;

 private:
  void take_own(const Gradient& gradient, bool empirical, int output_exponent, Memory& memory);
  [[nodiscard]] bool take_what_remains(const FisherBlock& block, const Gradient& gradient, Memory& memory);
  void take_given(const WeightView<const float>& v, Memory& memory);

  FisherBlock block_;
  BlockTraces traces_;
  SolveDamping damping_;
  Gradient gradient_;
  std::optional<WeightView<const float>> x0_;
  Destination destination_;
  int input_exponent_ = 0;     // α
  int output_exponent_ = 0;    // γ
  int gradient_exponent_ = 0;  // ν
};

/// Whether a system can be solved as it is, ‖v‖ apart: its traces and dampings are comfortable, and the factor of its
/// destination.
[[nodiscard]] bool comfortable(const BlockTraces& traces, const SolveDamping& damping, const Destination& destination);

}  // namespace cgfac
