#pragma once

namespace cgfac::blas {

/// Compares a few odd-shaped products and an eigendecomposition with plain loops; throws Error(blas_mismatch) that
/// names the kernel where they differ, or where it has instructions that the processor lacks, and std::bad_alloc where
/// there is no memory for a product to work in. A kernel that does not fit the processor computes wrong numbers without
/// any other sign. The first thing that a program does with OpenBLAS.
void self_check();

}  // namespace cgfac::blas
