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

}  // namespace cgfac::bench
