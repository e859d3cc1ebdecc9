#include "core/linalg/openblas.h"

#include <cblas.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/linalg/kernel_choice.h"

// What the linker puts in the place of getenv, and the function itself, for all of the addon.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
char* __real_getenv(const char* name);
char* __wrap_getenv(const char* name);
}

namespace cgfac::blas {

void require_kernel_that_fits() {
  const std::string kernel = openblas_get_corename();
  const std::string missing = missing_instructions(kernel);
  if (missing.empty()) return;
  const char* const best = kernel_for_this_processor();
  throw Error(ErrorCode::blas_mismatch, "Expected a kernel of OpenBLAS that this processor can run but received '" +
                                            kernel + "', which needs " + missing +
                                            "; take OPENBLAS_CORETYPE out of the environment" +
                                            (best != nullptr ? ", or set it to " + std::string(best) : std::string()));
}

Info info() {
  // "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64"
  const std::string config = openblas_get_config();
  const std::size_t begin = config.find(' ') + 1;
  return {.version = config.substr(begin, config.find(' ', begin) - begin),
          .core = openblas_get_corename(),
          .threads = openblas_get_num_threads()};
}

}  // namespace cgfac::blas

// OpenBLAS asks once, when the addon is loaded, and must not start threads of its own: child_process.spawn during a
// product would hang the parent. The environment itself is left alone: the process's other libraries and its children
// have it too, and another thread may be reading it. A kernel that the user names stays.
char* __wrap_getenv(const char* name) {
  static std::array one{'1', '\0'};
  const std::string_view asked(name);
  if (asked == "OPENBLAS_NUM_THREADS") return one.data();
  char* const value = __real_getenv(name);
  if (value != nullptr || asked != "OPENBLAS_CORETYPE") return value;
  return const_cast<char*>(cgfac::blas::kernel_for_this_processor());  // NOLINT(*-const-cast): nobody writes to it
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
