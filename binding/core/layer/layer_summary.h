#pragma once

#include <cstddef>
#include <optional>

#include "core/factor/damping.h"
#include "core/layer/layer_options.h"
#include "core/solver/cg_fac.h"
#include "core/solver/spectral.h"

namespace cgfac {

/// How a direction was come by.
struct LayerSummary {
  Method method = Method::cg;  ///< what was used: never automatic
  SolutionProducts products{};
  std::optional<CgFacSummary> cg_fac{};       ///< of method cg
  std::optional<ExactSummary> exact{};        ///< of the spectral solution
  std::optional<FactoredDamping> factored{};  ///< of factored damping
  double damping = 0;                         ///< λ, where it is one number
  BlockForms forms{};
  bool formed = false;  ///< whether both inverses were applied to v itself
};

/// A number for each side.
struct SidePair {
  double input = SolutionProducts::unknown;
  double output = SolutionProducts::unknown;
};

/// What a step of a layer is known by before its length is.
struct LayerStep {
  LayerSummary summary{};
  double vx = 0;               ///< ⟨v, x⟩
  double bound = 0;            ///< ≥ ‖x‖
  bool curved = false;         ///< whether there was anything to precondition with
  bool by_rows = false;        ///< whether x is the product of two sets of rows, and v was never formed
  bool restarted = false;      ///< whether conjugate gradients began again at zero, their warm start having led uphill
  SidePair traces{};           ///< tr A and tr G
  SidePair largest{};          ///< the largest eigenvalue of each factor, from below
  SidePair effective_ranks{};  ///< Σ s/(s + γ), where it is known by side
  double effective_rank = SolutionProducts::unknown;  ///< Σ E/(E + λ), where it is known of F
  std::size_t input_rows = 0;                         ///< that the factors took in last
  std::size_t output_rows = 0;
};

/// How a direction is prepared.
struct PrepareOptions {
  const CancelFlag* cancel = nullptr;
  Spectrum* spectrum = nullptr;  ///< of an exact solve with Tikhonov damping
};

/// What u_b is of each sample of a step, and how many samples have one; the others have 0.
struct SampledProducts {
  std::vector<double> u{};
  std::size_t samples = 0;
};

/// What a layer keeps between steps, in bytes.
struct LayerMemory {
  std::size_t recorded = 0;   ///< the recorded rows
  std::size_t workspace = 0;  ///< of the solvers, and the prepared direction
  std::size_t previous = 0;   ///< the warm start
  std::size_t factors = 0;    ///< averages, stacks, decompositions and inverses of factors that outlive a batch
};

}  // namespace cgfac
