#pragma once

#include <string>

/// Which kernel of OpenBLAS a processor can run: one source for each architecture defines this (kernel_choice_*.cpp).
namespace cgfac::blas {

/// The kernel to name to OpenBLAS before it starts, "SkylakeX"; null: its own choice.
[[nodiscard]] const char* kernel_for_this_processor();

/// The kernel to try where another computes wrong numbers: one that many processors run.
[[nodiscard]] const char* plainest_kernel();

/// The instructions that a kernel of OpenBLAS needs and this processor lacks, "AVX2"; empty where it has all.
[[nodiscard]] std::string missing_instructions(const std::string& kernel);

}  // namespace cgfac::blas
