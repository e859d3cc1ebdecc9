// Kernels of OpenBLAS for arm64.
#include "core/linalg/kernel_choice.h"

#if defined(__aarch64__)

#include <algorithm>
#include <array>
#include <string_view>

#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace cgfac::blas {
namespace {

// Whether this processor has vectors of a length of its own (SVE).
bool has_sve() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0;
#else
  return false;
#endif
}

}  // namespace

// A processor that OpenBLAS does not know gets 'armv8', whose products are NEON's as those of its other kernels are: no
// kernel of 2004, as on x86-64.
const char* kernel_for_this_processor() {
  return nullptr;
}

const char* plainest_kernel() {
  return "ARMV8";
}

std::string missing_instructions(const std::string& kernel) {
  constexpr std::array<std::string_view, 5> with_sve{"a64fx", "armv8sve", "neoversen2", "neoversev1", "neoversev2"};
  return std::ranges::find(with_sve, kernel) != with_sve.end() && !has_sve() ? "SVE" : "";
}

}  // namespace cgfac::blas

#endif
