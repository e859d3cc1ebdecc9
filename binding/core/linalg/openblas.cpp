#include "core/linalg/openblas.h"

#include <cblas.h>

#include <cstddef>
#include <cstdlib>
#include <mutex>

namespace cgfac::blas {
namespace {

// OpenBLAS reads the variable in a constructor of its own; priority 101 runs before that one, when the addon is loaded.
// OpenBLAS's thread pool must not exist: child_process.spawn during a product would hang the parent.
__attribute__((constructor(101))) void force_one_blas_thread() {
  setenv("OPENBLAS_NUM_THREADS", "1", 1);  // NOLINT(concurrency-mt-unsafe): no other thread of the addon's exists yet
}

constexpr const char* kernel_variable = "OPENBLAS_CORETYPE";
bool chose_kernel = false;

// OpenBLAS knows processors by their model numbers, and takes kernels of 2004 for one that is newer than itself: a
// third of the speed, or less. What a processor can do tells which of its kernels fit. A choice of the user's stays.
const char* kernel_for_this_processor() {
  __builtin_cpu_init();
  // int with GCC, bool with Clang
  const auto all = [](auto... supported) { return (static_cast<bool>(supported) && ...); };
  const bool avx2 = all(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"));
  const bool avx512 = avx2 && all(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512cd"),
                                  __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512dq"),
                                  __builtin_cpu_supports("avx512vl"));
  if (all(__builtin_cpu_is("amd"))) return avx2 ? "Zen" : nullptr;
  if (avx512) return "SkylakeX";
  return avx2 ? "Haswell" : nullptr;
}

// NOLINTBEGIN(concurrency-mt-unsafe): as above
__attribute__((constructor(101))) void choose_kernel() {
  const char* const kernel = kernel_for_this_processor();
  chose_kernel = kernel != nullptr && std::getenv(kernel_variable) == nullptr;
  if (chose_kernel) setenv(kernel_variable, kernel, 0);
}

}  // namespace

void forget_chosen_kernel() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (chose_kernel) unsetenv(kernel_variable);
  });
}
// NOLINTEND(concurrency-mt-unsafe)

Info info() {
  // "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64"
  const std::string config = openblas_get_config();
  const std::size_t begin = config.find(' ') + 1;
  return {.version = config.substr(begin, config.find(' ', begin) - begin),
          .core = openblas_get_corename(),
          .threads = openblas_get_num_threads()};
}

}  // namespace cgfac::blas
