#pragma once

#include <cstddef>

#include "core/base/matrix_view.h"

namespace cgfac::bench {

/// The floor of benchmarks: the two products that no preconditioner avoids, h ← g v (N × n) and out ← gᵀ a (m × n) with
/// g N × m, v m × n and a N × n, by sgemm alone on the pool threads, each over `blocks` column blocks. Everything is
/// row-major. 4·N·m·n flops.
void floor_products(MatrixView<const float> g, MatrixView<const float> v, MatrixView<const float> a,
                    MatrixView<float> h, MatrixView<float> out, std::size_t blocks);

/// A product by sgemm alone on the pool threads: C ← A B, over `blocks` blocks of the columns of C, or of its rows
/// where these are more. Everything is row-major.
void product(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c, std::size_t blocks);

}  // namespace cgfac::bench
