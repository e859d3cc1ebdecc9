#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mpi/call.h"
#include "mpi/mpi.h"
#include "mpi/numbers.h"

namespace cgfac::mpi {

/// Thrown out of a collective where this process is about to leave.
struct Leaving {};

/// How many numbers come from each rank, where that is known.
using Counts = std::optional<std::vector<std::size_t>>;

/// The collectives of all ranks, one after the other on the thread that owns MPI.
///
/// Ranks that call different ones would get each other's bytes, or wait for ever. So each collective begins with an
/// exchange of 40 bytes between any two ranks, which tells the call, its number, and how many numbers follow; where the
/// counts are known beforehand these bytes stand in front of the numbers, and save an exchange. What does not agree is
/// an error on all ranks that see it. A collective has until its deadline; what has failed once fails from then on,
/// because nobody knows what is still under way.
///
/// allreduce: rank r gets the r-th part of everybody's numbers, puts it together in the order of ranks, and sends it to
/// all. It sends and gets 2 n (P - 1)/P numbers, as a ring does, and all ranks have the same bits.
class Ranks {
 public:
  /// `leaving` is not negative once this process is about to leave.
  Ranks(Mpi& mpi, std::chrono::milliseconds timeout, const std::atomic<int>& leaving)
      : mpi_(mpi), timeout_(timeout), leaving_(leaving) {}

  [[nodiscard]] int rank() const { return mpi_.rank(); }
  [[nodiscard]] int size() const { return mpi_.size(); }

  /// Puts together the numbers of all ranks: runs that follow each other.
  [[nodiscard]] Numbers allreduce(const Numbers& values, Reduction reduction);
  /// Sends run r to rank r; gets a run from each. With counts, each run has `room_before` free numbers before it.
  [[nodiscard]] Numbers alltoallv(const Numbers& parts, const Counts& expected);
  /// Sends the one run to all ranks; gets a run from each. With counts, `room_before` free numbers stand before it.
  [[nodiscard]] Numbers allgatherv(const Numbers& values, const Counts& expected);
  /// Writes the run of the root into that of all others.
  void bcast(const Numbers& values, int root);
  /// Waits for all ranks.
  void barrier();
  /// Waits for all ranks, and ends MPI.
  void finalize();
  /// Whether MPI has ended.
  [[nodiscard]] bool ended() const { return ended_; }

  /// The free numbers before a run that the ranks know the length of.
  [[nodiscard]] static std::size_t room_before(Type type);

 private:
  struct Header;
  class Layout;
  void meet(Collective collective);
  template <typename Body>
  auto together(const Call& call, Body body);
  std::vector<std::size_t> agree(const std::vector<std::size_t>& counts);
  void require_same(const Header& header, int from, std::optional<std::size_t> count) const;
  [[nodiscard]] Numbers reduce_part(const Numbers& values, const Layout& parts, Reduction reduction);
  [[nodiscard]] Numbers gather_parts(const Numbers& part, const Layout& parts);
  void exchange(const Numbers& from, const Layout& from_layout, const Numbers& to, const Layout& to_layout);
  void gather(const Numbers& from, std::size_t count, const Numbers& to, const Layout& to_layout);
  void write_header(std::byte* to, std::size_t count) const;
  void require_expected(const Numbers& received) const;
  void finish();
  [[nodiscard]] std::vector<std::size_t> of_all(std::size_t count) const;
  [[nodiscard]] std::string missing() const;

  Mpi& mpi_;
  std::chrono::milliseconds timeout_;
  const std::atomic<int>& leaving_;
  std::uint64_t sequence_ = 0;
  Call call_{};
  std::chrono::steady_clock::time_point begin_;
  std::vector<std::byte> headers_;  // those that come from the others, while they are under way
  // What MPI reads and writes, kept beyond a collective that failed: it may still do so.
  std::vector<std::shared_ptr<const void>> under_way_;
  std::string broken_;
  bool ended_ = false;
};

}  // namespace cgfac::mpi
