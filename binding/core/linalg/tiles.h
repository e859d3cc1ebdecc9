#pragma once

#include "core/base/matrix_view.h"

/// Products of matrices in tiles that pool threads share, cut by the shape alone, and passes from one precision to the
/// other.
namespace cgfac {

/// C ← α A B + β C, split by rows of C. 2·rows·cols·k flops.
void gemm_in_tiles(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c);
void gemm_in_tiles(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta,
                   MatrixView<double> c);

/// to ← from, rounded to float32.
void narrow(MatrixView<const double> from, MatrixView<float> to);
/// to ← from, in float64.
void widen(MatrixView<const float> from, MatrixView<double> to);

}  // namespace cgfac
