#pragma once

#include "support/draws.h"

namespace cgfac::fuzz {

/// What a target does with an input; each has one of its own.
void run(Draws draws);

}  // namespace cgfac::fuzz
