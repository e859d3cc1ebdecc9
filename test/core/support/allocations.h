#pragma once

#include <functional>

/// The allocations of the test program, all of which are counted.
namespace cgfac::test {

/// How many there have been.
[[nodiscard]] long allocations();

/// Within its life, something happens at one allocation, of whichever thread: it fails, or a flag is set.
class AtAllocation {
 public:
  /// `after`: how many are left alone before it.
  AtAllocation(long after, std::function<void()> action);
  ~AtAllocation();
  AtAllocation(const AtAllocation&) = delete;
  AtAllocation& operator=(const AtAllocation&) = delete;
};

}  // namespace cgfac::test
