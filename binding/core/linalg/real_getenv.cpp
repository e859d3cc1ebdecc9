// Where the linker puts nothing in the place of getenv, because it cannot, OpenBLAS calls __wrap_getenv by its name.
#if defined(CGFAC_RENAME)

#include <cstdlib>

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" char* __real_getenv(const char* name);

char* __real_getenv(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): what OpenBLAS calls when it is loaded
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

#endif
