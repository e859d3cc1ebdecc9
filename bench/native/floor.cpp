#include "native/floor.h"

#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac::bench {

void floor_products(MatrixView<const float> g, MatrixView<const float> v, MatrixView<const float> a,
                    MatrixView<float> h, MatrixView<float> out, std::size_t blocks) {
  const std::size_t n = v.cols;
  const auto first = [&](std::size_t block) { return n * block / blocks; };
  parallel_for(blocks, [&](std::size_t i) {
    const std::size_t count = first(i + 1) - first(i);
    blas::gemm(1.0F, g, v.columns(first(i), count), 0.0F, h.columns(first(i), count));
  });
  parallel_for(blocks, [&](std::size_t i) {
    const std::size_t count = first(i + 1) - first(i);
    blas::gemm(1.0F, g.transposed(), a.columns(first(i), count), 0.0F, out.columns(first(i), count));
  });
}

void product(MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c, std::size_t blocks) {
  const bool by_rows = c.rows > c.cols;
  const std::size_t length = by_rows ? c.rows : c.cols;
  parallel_for(blocks, [&](std::size_t i) {
    const std::size_t first = length * i / blocks;
    const std::size_t count = (length * (i + 1) / blocks) - first;
    if (by_rows) {
      blas::gemm(1.0F, a.rows_from(first, count), b, 0.0F, c.rows_from(first, count));
    } else {
      blas::gemm(1.0F, a, b.columns(first, count), 0.0F, c.columns(first, count));
    }
  });
}

}  // namespace cgfac::bench
