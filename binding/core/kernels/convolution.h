#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/kernels/conv_geometry.h"

/// The gradients of a convolution y = patches · W with respect to its kernel and to its inputs, float32.
///
/// Patches are gathered, or scattered, in pieces that stay in the cache; the matrix of all of them never exists. Pieces
/// depend on the geometry alone: results have the same bits with any number of threads. 2 · rows · patch · filters
/// flops each, where positions outside of the input count, too.
namespace cgfac {

/// Writes the patches of output positions first, first + 1, …, as many as the matrix has rows, patch() numbers each.
void gather_patches(const ConvGeometry& geometry, std::span<const float> x, std::size_t first,
                    MatrixView<float> patches);

/// dW ← patchesᵀ · dy, patch × filters.
void conv_kernel_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                          std::span<float> dw);

/// dx ← the sums, over the patches that read an input, of what dy · Wᵀ has at its place.
void conv_input_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<const float> w,
                         std::span<float> dx);

}  // namespace cgfac
