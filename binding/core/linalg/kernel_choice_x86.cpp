// Kernels of OpenBLAS for x86-64.
#include "core/linalg/kernel_choice.h"

#if defined(__x86_64__)

#include <cpuid.h>

#include <array>
#include <string_view>

namespace cgfac::blas {
namespace {

// int with GCC, bool with Clang
constexpr auto all = [](auto... supported) { return (static_cast<bool>(supported) && ...); };

// What this processor can do, as far as kernels of OpenBLAS differ in it.
struct Processor {
  bool sse3 = false;
  bool ssse3 = false;
  bool sse41 = false;
  bool sse42 = false;
  bool avx = false;
  bool avx2 = false;
  bool avx512 = false;
  bool avx512_bf16 = false;
  bool fma4 = false;
  bool amd_3dnow = false;
  bool amd = false;
};

bool has_3dnow() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(0x80000001U, &eax, &ebx, &ecx, &edx) != 0 && (edx >> 31U) != 0;
}

Processor this_processor() {
  __builtin_cpu_init();
  return {
      .sse3 = all(__builtin_cpu_supports("sse3")),
      .ssse3 = all(__builtin_cpu_supports("ssse3")),
      .sse41 = all(__builtin_cpu_supports("sse4.1")),
      .sse42 = all(__builtin_cpu_supports("sse4.2")),
      .avx = all(__builtin_cpu_supports("avx")),
      .avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma")),
      .avx512 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"), __builtin_cpu_supports("avx512f"),
                    __builtin_cpu_supports("avx512cd"), __builtin_cpu_supports("avx512bw"),
                    __builtin_cpu_supports("avx512dq"), __builtin_cpu_supports("avx512vl")),
      .avx512_bf16 = all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bf16")),
      .fma4 = all(__builtin_cpu_supports("avx"), __builtin_cpu_supports("fma4")),
      .amd_3dnow = has_3dnow(),
      .amd = all(__builtin_cpu_is("amd"))};
}

struct Need {
  std::string_view kernel;
  bool met;
  const char* instructions;
};

}  // namespace

// OpenBLAS knows processors by their model numbers, and takes kernels of 2004 for one that is newer than itself: a
// third of the speed, or less. What a processor can do tells which of its kernels fit; null: its own choice.
const char* kernel_for_this_processor() {
  const Processor has = this_processor();
  if (has.amd) return has.avx2 ? "Zen" : nullptr;
  if (has.avx512) return "SkylakeX";
  return has.avx2 ? "Haswell" : nullptr;
}

const char* plainest_kernel() {
  return "Haswell";
}

std::string missing_instructions(const std::string& kernel) {
  const Processor has = this_processor();
  const std::array needs{
      Need{.kernel = "Cooperlake", .met = has.avx512_bf16, .instructions = "AVX-512 with BF16"},
      Need{.kernel = "SkylakeX", .met = has.avx512, .instructions = "AVX-512 (F, CD, BW, DQ and VL)"},
      Need{.kernel = "Haswell", .met = has.avx2, .instructions = "AVX2 and FMA"},
      Need{.kernel = "Zen", .met = has.avx2, .instructions = "AVX2 and FMA"},
      Need{.kernel = "Excavator", .met = has.avx2 && has.fma4, .instructions = "AVX2 and FMA4"},
      Need{.kernel = "Steamroller", .met = has.fma4, .instructions = "AVX and FMA4"},
      Need{.kernel = "Piledriver", .met = has.fma4, .instructions = "AVX and FMA4"},
      Need{.kernel = "Bulldozer", .met = has.fma4, .instructions = "AVX and FMA4"},
      Need{.kernel = "Sandybridge", .met = has.avx, .instructions = "AVX"},
      Need{.kernel = "Nehalem", .met = has.sse42, .instructions = "SSE4.2"},
      Need{.kernel = "Penryn", .met = has.sse41, .instructions = "SSE4.1"},
      Need{.kernel = "Dunnington", .met = has.sse41, .instructions = "SSE4.1"},
      Need{.kernel = "Opteron", .met = has.amd_3dnow, .instructions = "3DNow!"},
      Need{.kernel = "Opteron_SSE3", .met = has.amd_3dnow, .instructions = "3DNow!"},
      Need{.kernel = "Core2", .met = has.ssse3, .instructions = "SSSE3"},
      Need{.kernel = "Atom", .met = has.ssse3, .instructions = "SSSE3"},
      Need{.kernel = "Nano", .met = has.ssse3, .instructions = "SSSE3"},
  };
  for (const Need& need : needs) {
    if (need.kernel == kernel) return need.met ? "" : need.instructions;
  }
  return has.sse3 ? "" : "SSE3";  // all others
}

}  // namespace cgfac::blas

#endif
