#pragma once

namespace cgfac::blas {

/// Compares a few odd-shaped products and an eigendecomposition with plain loops; throws Error(blas_mismatch) that
/// names the kernel where they differ. A kernel that does not fit the processor computes wrong numbers without any
/// other sign. The first thing that a program does with OpenBLAS: its choice of a kernel is forgotten here.
void self_check();

}  // namespace cgfac::blas
