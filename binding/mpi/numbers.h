#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "mpi/mpi.h"

namespace cgfac::mpi {

/// The types of numbers that travel, in the order in which JavaScript counts them.
enum class Type { float32, float64, int32, uint8 };

/// How the numbers of all ranks are put together, in the order in which JavaScript counts them.
enum class Reduction { sum, min, max };

/// The name of a type in messages: that of its typed array.
[[nodiscard]] const char* name_of(Type type);

/// How many bytes a number of a type has.
[[nodiscard]] std::size_t bytes_of(Type type);

/// What a number of a type travels as.
[[nodiscard]] Unit unit_of(Type type);

/// Whether sums of a type are exact or out of range, which has to be found.
[[nodiscard]] bool is_integer(Type type);

// NOLINTBEGIN(modernize-avoid-c-arrays): memory of a size that is known when it is made, and that is not cleared
/// Memory that holds nothing at first. Copies share it: MPI may still write into what nobody else needs any more.
using Bytes = std::shared_ptr<std::byte[]>;

/// Memory of so many bytes.
[[nodiscard]] inline Bytes bytes(std::size_t size) {
  return std::make_shared_for_overwrite<std::byte[]>(size);
}
// NOLINTEND(modernize-avoid-c-arrays)

/// A run of numbers in a piece of memory, counted in numbers.
struct Run {
  std::size_t offset;
  std::size_t count;
};

/// Runs of numbers of one type in a piece of memory: one for each rank, mostly.
struct Numbers {
  Type type{};
  Bytes memory;
  std::vector<Run> runs;
  /// Where a run begins in the memory.
  [[nodiscard]] std::byte* start(const Run& run) const { return memory.get() + run.offset * bytes_of(type); }
};

/// out ← the numbers of all ranks, put together in the order of ranks: block r of `blocks` is rank r's, as long as out.
///
///   sum: out_i = ((b_0i + b_1i) + b_2i) + …, rounded to the type at each step; of integers exact
///   min, max: NaN where one of them is NaN
///
/// Gives false where a sum of integers is out of range. Memory: each block is read once, in pieces that stay in cache
/// with their part of out.
[[nodiscard]] bool reduce_in_order(Type type, Reduction reduction, const std::byte* blocks, int ranks,
                                   std::size_t count, std::byte* out);

}  // namespace cgfac::mpi
