#pragma once

#include <cstddef>

#include "core/block/fisher_block.h"

/// What the passes over weights share: in which order they multiply, and how much at a time.
namespace cgfac {

/// Columns or rows of a vector of weight space that are worked on at a time, at the least.
inline constexpr std::size_t smallest_chunk = 16;

/// √scale, what makes rows a panel; a covariance side has P = I.
[[nodiscard]] double panel_scale(const Side& side, FactorForm form);

/// Which product of both panels comes first when projecting: (g v) aᵀ, half N_g × n, or g (v aᵀ), half m × N_a. Where
/// both cost the same, the one that reads v in contiguous pieces.
[[nodiscard]] bool project_output_first(const FisherBlock& block);
/// Which comes first when expanding: (gᵀ C) a, half m × N_a, or gᵀ (C a), half N_g × n.
[[nodiscard]] bool expand_output_first(const FisherBlock& block);

/// Columns or rows of a half product `width` wide that fit in the scratch: all of them, or a multiple of
/// `smallest_chunk`.
[[nodiscard]] std::size_t chunk_of(std::size_t extent, std::size_t width, std::size_t scratch);

}  // namespace cgfac
