#pragma once

#include "core/base/names.h"
#include "core/factor/factor.h"
#include "core/layer/method.h"
#include "core/solver/cg_fac.h"

namespace cgfac {

/// A solve's start: the paper proposes the previous batch's solution.
enum class WarmStart { none, previous, scaled };

/// The names of the starts as options.
template <>
inline constexpr std::array<std::string_view, 3> names_of<WarmStart>{"none", "previous", "scaled"};

/// λI added to A ⊗ G, or γ's added to A and G.
enum class DampingMode { tikhonov, factored };

/// The names of the modes as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<DampingMode>{"tikhonov", "factored"};

/// The curvature of the layer: A ⊗ G, or the sum over samples.
enum class Block { kronecker, sample };

/// The names of the blocks as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<Block>{"kronecker", "sample"};

/// How a layer solves, and what its factors are made of.
struct LayerOptions {
  Damping damping{};
  DampingMode damping_mode = DampingMode::tikhonov;
  Block block = Block::kronecker;
  Method method = Method::cg;
  FactorOptions factor{};  ///< of both sides
  CgFacOptions cg_fac{};   ///< its start_scaling follows from warm_start
  WarmStart warm_start = WarmStart::previous;
  int factor_update_steps = 1;   ///< batches of `precondition` between two that enter averages
  int inverse_update_steps = 1;  ///< of direct K-FAC: batches between two decompositions
};

/// Calls `visit(name, member)` for each of the options that have a name, those of factors and solvers among them. The
/// names are those of the table in lib/layer/option-rows.ts.
template <typename Visit>
void each_option(LayerOptions& options, const Visit& visit) {
  visit("damping", options.damping);
  visit("dampingMode", options.damping_mode);
  visit("block", options.block);
  visit("method", options.method);
  visit("warmStart", options.warm_start);
  visit("factorUpdateSteps", options.factor_update_steps);
  visit("inverseUpdateSteps", options.inverse_update_steps);
  each_option(options.factor, visit);
  each_option(options.cg_fac, visit);
}

/// Throws Error(invalid_value) that says why for a combination of options that no solver has.
void require_solver(const LayerOptions& options);

}  // namespace cgfac
