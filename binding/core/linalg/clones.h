#pragma once

#include <version>  // says which C library it is

// Compiles a function for several processors, of which the loader takes the best one: that of glibc can. Sanitizers
// intercept too early for functions that the loader chooses.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(CGFAC_SANITIZED)
#define CGFAC_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CGFAC_CLONES
#endif
