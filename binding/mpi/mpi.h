#pragma once

#include <cstddef>
#include <memory>

#include "mpi/library.h"

namespace cgfac::mpi {

/// How many bytes an element of what travels has; MPI counts elements in 32 bits.
enum class Unit { one = 1, four = 4, eight = 8 };

/// A block for each rank in one piece of memory, counted in elements.
struct Blocks {
  std::byte* memory;
  const int* counts;
  const int* offsets;
};

/// What is called of MPI, whatever its binary interface: one communicator of all ranks, and one collective at a time,
/// which is begun and then asked for until it is done. One thread makes all calls. Throws Failure where MPI reports an
/// error.
class Mpi {
 public:
  Mpi() = default;
  virtual ~Mpi() = default;
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;

  /// Starts MPI for the thread that calls, and makes a communicator that nobody else sends in.
  virtual void init() = 0;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  /// Sends as many bytes to each rank.
  virtual void begin_alltoall(const std::byte* from, std::byte* to, int bytes) = 0;
  /// Sends a block to each rank.
  virtual void begin_alltoallv(const Blocks& from, const Blocks& to, Unit unit) = 0;
  /// Sends one block to all ranks.
  virtual void begin_allgatherv(const std::byte* from, int count, const Blocks& to, Unit unit) = 0;
  /// Sends what one rank has to all others.
  virtual void begin_bcast(std::byte* numbers, int count, Unit unit, int root) = 0;
  /// Whether the collective that was begun is done; it progresses in these calls alone.
  [[nodiscard]] virtual bool done() = 0;

  /// Ends the processes of all ranks, this one included.
  virtual void abort(int code) = 0;
  /// Ends MPI, for good.
  virtual void finalize() = 0;
};

/// The calls of a library, by its binary interface.
[[nodiscard]] std::unique_ptr<Mpi> mpi_of(const Library& library);

}  // namespace cgfac::mpi
