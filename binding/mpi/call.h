#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "mpi/numbers.h"

namespace cgfac::mpi {

/// What the ranks do together.
enum class Collective : std::int32_t { allreduce, alltoallv, allgatherv, bcast, barrier, finalize };

/// One collective as all ranks have to call it, and as messages tell it.
struct Call {
  Collective collective;
  Type type;
  /// Numbers of each rank, where they have to be as many on all of them.
  std::optional<std::size_t> count;
  /// The root, or how numbers are put together; 0 where there is no such thing.
  std::int32_t detail;
};

/// A call in words: "allreduce of 12 numbers in a Float32Array ('sum')".
[[nodiscard]] std::string told(const Call& call);

}  // namespace cgfac::mpi
