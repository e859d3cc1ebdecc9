#pragma once

#include <doctest/doctest.h>

#include "support/variants.h"

namespace cgfac::test {

/// Checks every method, damping and history that a layer of steps can have.
void for_each_variant(const FactorOptions& factor, auto&& check) {
  for (const LayerOptions& options : variants(factor)) {
    CAPTURE(static_cast<int>(options.method));
    CAPTURE(static_cast<int>(options.damping_mode));
    CAPTURE(static_cast<int>(options.factor.history));
    check(options);
  }
}

}  // namespace cgfac::test
