#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/kernels/conv_geometry.h"
#include "core/kernels/matrix_product.h"

/// A convolution y = patches · W and its gradients with respect to its kernel and to its inputs, float32.
///
/// Patches are gathered, or scattered, in pieces that stay in the cache; the matrix of all of them never exists. Pieces
/// depend on the geometry alone: results have the same bits with any number of threads. 2 · rows · patch · filters
/// flops each, where positions outside of the input count, too.
namespace cgfac {

/// Writes the patches of output positions first, first + 1, …, as many as the matrix has rows, patch() numbers each.
void gather_patches(const ConvGeometry& geometry, std::span<const float> x, std::size_t first,
                    MatrixView<float> patches);

/// y ← φ(patches · W + bias), where bias and slopes are those of one result of rows() × filters. What lies outside of
/// the input adds nothing, whatever W holds at its tap, NaN and infinity too.
void convolution(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> w,
                 const Epilogue& epilogue, std::span<float> y);

/// dW ← patchesᵀ · dy, patch × filters.
void conv_kernel_gradient(const ConvGeometry& geometry, std::span<const float> x, std::span<const float> dy,
                          std::span<float> dw);

/// dx ← the sums, over the patches that read an input, of what dy · Wᵀ has at its place.
void conv_input_gradient(const ConvGeometry& geometry, std::span<const float> dy, std::span<const float> w,
                         std::span<float> dx);

}  // namespace cgfac
