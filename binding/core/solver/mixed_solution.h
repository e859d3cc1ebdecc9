#pragma once

#include "core/solver/spectral.h"

/// The spectral solution with one side's eigenvalues alone (docs/math.md §6).
namespace cgfac {

/// The least rows or columns of U from which it costs less than two eigendecompositions.
inline constexpr std::size_t smallest_mixed = 48;

/// x = (F + λI)⁻¹ v with one side diagonalised and the other tridiagonal: for each eigenvalue μ_j of one side, T being
/// the other side's tridiagonal matrix,
///
///   (μ_j T + λI) c_j = ũ_j,   Ũ = H_t U H_eᵀ Zᵀ,   C = H_tᵀ c Z H_e
ExactSummary solve_mixed(const GramProblem& problem, double damping, const Destination& destination);

/// Numbers that it asks of the problem's scratch.
[[nodiscard]] std::size_t mixed_scratch_numbers(const FisherBlock& block);

}  // namespace cgfac
