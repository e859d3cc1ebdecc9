#pragma once

#include <stdexcept>
#include <string>

namespace cgfac::mpi {

/// What a failure is called; the addon maps each to an ERR_CGFAC_… code.
enum class FailureKind {
  library,        ///< no MPI could be loaded or started
  communication,  ///< ranks could not finish a collective, and can do nothing together any more
  value,          ///< the numbers of all ranks together are out of range, which all of them learn
};

/// A failure that a caller is told of.
class Failure : public std::runtime_error {
 public:
  Failure(FailureKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] FailureKind kind() const noexcept { return kind_; }

 private:
  FailureKind kind_;
};

}  // namespace cgfac::mpi
