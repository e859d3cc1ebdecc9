#pragma once

#include <cmath>

#include "core/block/fisher_block.h"
#include "core/block/gradient.h"

/// The range in which the solvers work as they are: no product of a few such numbers comes near the ends of float32.
/// What lies outside of it is solved for after scaling by powers of two (solver/scaled_system.h).
namespace cgfac {

/// Whether a trace or a damping is within 2^±40.
[[nodiscard]] inline bool comfortable(double x) {
  return x >= 0x1p-40 && x <= 0x1p40;
}
/// Whether a squared norm is 0 or within 2^±60.
[[nodiscard]] inline bool comfortable_square(double norm2) {
  return norm2 == 0 || (norm2 >= 0x1p-60 && norm2 <= 0x1p60);
}

/// Thrown by a solver, with everything untouched, that finds ‖v‖ where it had to look at v anyway: whoever chose not to
/// scale the system does it now.
struct NeedsScaling {};

/// Calls `solve` for a system that is comfortable as far as is known; returns whether it is solved, or else untouched.
template <typename Solve>
[[nodiscard]] bool solved_as_it_is(bool comfortable, const Solve& solve) {
  if (!comfortable) return false;
  try {
    solve();
    return true;
  } catch (const NeedsScaling&) {
    return false;
  }
}

/// Throws NeedsScaling for ‖v‖², or that of a start, outside of the comfortable range, unless the system is scaled.
inline void require_comfortable(const Gradient& gradient, double norm2) {
  if (!gradient.scaled && std::isfinite(norm2) && !comfortable_square(norm2)) throw NeedsScaling{};
}

}  // namespace cgfac
