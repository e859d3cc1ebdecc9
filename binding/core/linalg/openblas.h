#pragma once

#include <string>

/// How OpenBLAS is set up for the process: one BLAS thread, a kernel that the processor fits, and memory that it gets
/// from here. Nothing needs to be called for that, and nothing of it shows in the environment of the process: what
/// OpenBLAS asks of the system is answered by functions that are linked in its place (CMakeLists.txt, `--wrap`).
namespace cgfac::blas {

/// What the package was linked with.
struct Info {
  std::string version;  ///< of OpenBLAS, "0.3.21"
  std::string core;     ///< the kernel that OpenBLAS chose for this processor, "SkylakeX"
  int threads;          ///< BLAS threads: 1
};
/// The library, its kernel for this processor, and its threads.
[[nodiscard]] Info info();

/// Throws Error(blas_mismatch) where the kernel has instructions that the processor lacks, and would end the process:
/// OPENBLAS_CORETYPE names that of another machine. Reads nothing but names.
void require_kernel_that_fits();

/// Throws std::bad_alloc where the system has no memory for the buffer that every product works in. One is enough for
/// any number of threads: those that find none free wait for one.
void reserve_buffer();

}  // namespace cgfac::blas
