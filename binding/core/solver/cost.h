#pragma once

#include "core/block/fisher_block.h"

/// What a solve costs, estimated from its shape and the forms of its sides alone: flops of each kind, and bytes, at the
/// price of a float32 product's flop. The prices are measured (docs/decisions/); the suite `solve` of bench/ shows how
/// well the choices fit.
namespace cgfac::cost {

/// Conjugate gradients in Gram space, in the cheaper basis.
[[nodiscard]] double gram_cg(const FisherBlock& block, int iterations);
/// Iterations of Gram space in the samples' bases, without the passes over v.
[[nodiscard]] double plain_iterations(const FisherBlock& block, int iterations);
/// Iterations of Gram space in the tridiagonal bases, those made, without the passes over v.
[[nodiscard]] double tridiagonal_iterations(const FisherBlock& block, int iterations);
/// Conjugate gradients in weight space.
[[nodiscard]] double weight_cg(const FisherBlock& block, int iterations);
/// The spectral solution.
[[nodiscard]] double exact(const FisherBlock& block);

}  // namespace cgfac::cost
