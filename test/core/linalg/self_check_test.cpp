#include "core/linalg/self_check.h"

#include <doctest/doctest.h>

#include "core/linalg/openblas.h"

using namespace cgfac;

TEST_CASE("self_check: it passes, and one BLAS thread is in force") {
  blas::self_check();
  const blas::Info info = blas::info();
  CHECK(info.threads == 1);
  CHECK(!info.core.empty());
  CHECK(info.version.find("0.3.") == 0);
}
