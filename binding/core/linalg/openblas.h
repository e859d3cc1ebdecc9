#pragma once

#include <string>

/// How OpenBLAS is set up for the process, before its first call: one BLAS thread, and a kernel that the processor
/// fits. Nothing needs to be called for it; loading the program, or the addon, does it.
namespace cgfac::blas {

/// What the package was linked with.
struct Info {
  std::string version;  ///< of OpenBLAS, "0.3.21"
  std::string core;     ///< the kernel that OpenBLAS chose for this processor, "SkylakeX"
  int threads;          ///< BLAS threads: 1
};
/// The library, its kernel for this processor, and its threads.
[[nodiscard]] Info info();

/// Takes the choice of a kernel out of the process's environment again, if it was made here: processes that this one
/// starts may have a newer OpenBLAS.
void forget_chosen_kernel();

}  // namespace cgfac::blas
