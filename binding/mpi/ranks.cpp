#include "mpi/ranks.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <thread>
#include <utility>

#include "mpi/failure.h"

namespace cgfac::mpi {
namespace {

using std::chrono::steady_clock;

/// What a header begins with: other bytes are no header, and another version has another number.
constexpr std::uint64_t mark = 0x63676661632d3031;  // "cgfac-01"
/// Pauses grow to this: a rank that waits long costs no processor, and comes too late by this at the most.
constexpr std::chrono::microseconds longest_pause{1000};
/// A rest before MPI ends. MPICH over TCP (4.0.2, UCX 1.13) closes connections in MPI_Finalize, where one rank leaves
/// and another waits for its answer for ever if the last messages have only just come: 51 of 77 runs on two hosts hung
/// there without the rest, none of 80 with it.
constexpr std::chrono::milliseconds rest_before_the_end{10};
/// A shorter pause takes the system longer than it lasts.
constexpr std::chrono::microseconds shortest_pause{50};

Failure failed(const std::string& message) {
  return {FailureKind::communication, message};
}

int to_int(std::size_t count) {
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw failed("Expected at most 2147483647 numbers in a collective but received " + std::to_string(count));
  return static_cast<int>(count);
}

}  // namespace

/// What a rank says of its call.
struct Ranks::Header {
  std::uint64_t mark;
  std::uint64_t sequence;
  std::uint64_t count;
  std::int32_t collective;
  std::int32_t type;
  std::int32_t detail;
  std::int32_t reserved;
};

/// Blocks of one piece of memory, one after the other, each with as many elements before it.
class Ranks::Layout {
 public:
  Layout(const std::vector<std::size_t>& counts, std::size_t room) {
    for (const std::size_t count : counts) {
      counts_->push_back(to_int(count + room));
      offsets_->push_back(to_int(total_));
      runs_.push_back({total_ + room, count});
      total_ += count + room;
    }
    to_int(total_);
  }
  [[nodiscard]] Blocks blocks(const Bytes& memory) const {
    return {.memory = memory.get(), .counts = counts_->data(), .offsets = offsets_->data()};
  }
  [[nodiscard]] Numbers numbers(Type type) const {
    return {.type = type, .memory = bytes(total_ * bytes_of(type)), .runs = runs_};
  }
  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
  /// Keeps what MPI reads until a collective is done.
  void stay(std::vector<std::shared_ptr<const void>>& under_way) const {
    under_way.insert(under_way.end(), {counts_, offsets_});
  }

 private:
  using Integers = std::shared_ptr<std::vector<int>>;
  Integers counts_ = std::make_shared<std::vector<int>>();
  Integers offsets_ = std::make_shared<std::vector<int>>();
  std::vector<Run> runs_;
  std::size_t total_ = 0;
};

std::size_t Ranks::room_before(Type type) {
  return sizeof(Header) / bytes_of(type);
}

/// Runs one collective. `body` begins and finishes what it consists of.
template <typename Body>
auto Ranks::together(const Call& call, Body body) {
  const std::string here = " on rank " + std::to_string(rank()) + " of " + std::to_string(size());
  if (!broken_.empty()) {
    throw failed("Expected a communicator that works for " + told(call) + here +
                 " but an earlier collective failed: " + broken_);
  }
  ++sequence_;
  call_ = call;
  begin_ = steady_clock::now();
  headers_.clear();
  try {
    return body();  // `finish` lets go of what is under way
  } catch (const Failure& failure) {
    if (failure.kind() == FailureKind::value) throw;
    const std::string number = " (collective " + std::to_string(sequence_) + ")";
    broken_ = "Expected " + told(call) + number + here + " to come to its end but " + failure.what();
    throw failed(broken_);
  } catch (const std::exception& error) {
    broken_ = "Expected " + told(call) + here + " to come to its end but " + error.what();
    throw;
  }
}

std::vector<std::size_t> Ranks::of_all(std::size_t count) const {
  return std::vector<std::size_t>(static_cast<std::size_t>(size()), count);
}

std::string Ranks::missing() const {
  std::string ranks;
  for (std::size_t from = 0; from * sizeof(Header) < headers_.size(); ++from) {
    Header header{};
    std::memcpy(&header, headers_.data() + from * sizeof(Header), sizeof(Header));
    if (header.mark == 0) ranks += (ranks.empty() ? "" : ", ") + std::to_string(from);
  }
  return ranks;
}

void Ranks::finish() {
  const auto begin = steady_clock::now();
  while (!mpi_.done()) {
    if (leaving_.load(std::memory_order_relaxed) >= 0) throw Leaving{};
    const auto now = steady_clock::now();
    if (now - begin_ > timeout_) {
      const std::string ranks = missing();
      throw failed((ranks.empty() ? "not all of it came" : "nothing came from rank " + ranks) + " within " +
                   std::to_string(timeout_.count()) + " ms");
    }
    // an eighth of what was waited already, so that whoever comes is noticed at most so much later
    const auto pause = std::min<steady_clock::duration>((now - begin) / 8, longest_pause);
    if (pause < shortest_pause) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(pause);
    }
  }
  under_way_.clear();
}

void Ranks::exchange(const Numbers& from, const Layout& from_layout, const Numbers& to, const Layout& to_layout) {
  from_layout.stay(under_way_);
  to_layout.stay(under_way_);
  under_way_.insert(under_way_.end(), {from.memory, to.memory});
  mpi_.begin_alltoallv(from_layout.blocks(from.memory), to_layout.blocks(to.memory), unit_of(from.type));
  finish();
}

void Ranks::gather(const Numbers& from, std::size_t count, const Numbers& to, const Layout& to_layout) {
  to_layout.stay(under_way_);
  under_way_.insert(under_way_.end(), {from.memory, to.memory});
  mpi_.begin_allgatherv(from.memory.get(), to_int(count), to_layout.blocks(to.memory), unit_of(from.type));
  finish();
}

void Ranks::write_header(std::byte* to, std::size_t count) const {
  const Header header{.mark = mark,
                      .sequence = sequence_,
                      .count = count,
                      .collective = static_cast<std::int32_t>(call_.collective),
                      .type = static_cast<std::int32_t>(call_.type),
                      .detail = call_.detail,
                      .reserved = 0};
  std::memcpy(to, &header, sizeof header);
}

void Ranks::require_same(const Header& header, int from, std::optional<std::size_t> count) const {
  const std::string whom = "rank " + std::to_string(from);
  if (header.mark != mark) throw failed(whom + " sent something else, or runs another version of cgfac");
  const Call other{.collective = static_cast<Collective>(header.collective),
                   .type = static_cast<Type>(header.type),
                   .count = header.count,
                   .detail = header.detail};
  const bool same = other.collective == call_.collective && other.type == call_.type && other.detail == call_.detail &&
                    header.sequence == sequence_;
  if (!same || (count && header.count != *count)) {
    const bool counted = call_.collective < Collective::barrier && other.collective < Collective::barrier;
    throw failed(
        whom + " called " +
        told(counted ? other
                     : Call{.collective = other.collective, .type = other.type, .count = {}, .detail = other.detail}) +
        " as its collective " + std::to_string(header.sequence));
  }
}

/// Tells each rank how many numbers follow, and learns it from each.
std::vector<std::size_t> Ranks::agree(const std::vector<std::size_t>& counts) {
  const Bytes own = bytes(counts.size() * sizeof(Header));
  for (std::size_t to = 0; to < counts.size(); ++to) write_header(own.get() + to * sizeof(Header), counts[to]);
  headers_.assign(counts.size() * sizeof(Header), std::byte{0});
  under_way_.push_back(own);
  mpi_.begin_alltoall(own.get(), headers_.data(), static_cast<int>(sizeof(Header)));
  finish();
  std::vector<std::size_t> others;
  for (std::size_t from = 0; from < counts.size(); ++from) {
    Header header{};
    std::memcpy(&header, headers_.data() + from * sizeof(Header), sizeof header);
    require_same(header, static_cast<int>(from), call_.count);
    others.push_back(header.count);
  }
  headers_.clear();
  return others;
}

void Ranks::require_expected(const Numbers& received) const {
  int from = 0;
  for (const Run& run : received.runs) {
    Header header{};
    std::memcpy(&header, received.start(run) - sizeof(Header), sizeof header);
    require_same(header, from++, run.count);
  }
}

Numbers Ranks::alltoallv(const Numbers& parts, const Counts& expected) {
  const Call call{.collective = Collective::alltoallv, .type = parts.type, .count = {}, .detail = expected ? 1 : 0};
  return together(call, [&] {
    const std::size_t room = expected ? room_before(parts.type) : 0;
    std::vector<std::size_t> counts;
    for (const Run& run : parts.runs) {
      counts.push_back(run.count);
      if (expected) write_header(parts.start(run) - sizeof(Header), run.count);
    }
    const Layout to(expected ? *expected : agree(counts), room);
    Numbers received = to.numbers(parts.type);
    exchange(parts, Layout(counts, room), received, to);
    if (expected) require_expected(received);
    return received;
  });
}

Numbers Ranks::allgatherv(const Numbers& values, const Counts& expected) {
  const Call call{.collective = Collective::allgatherv, .type = values.type, .count = {}, .detail = expected ? 1 : 0};
  return together(call, [&] {
    const Run& own = values.runs.front();
    const std::size_t room = expected ? room_before(values.type) : 0;
    if (expected) write_header(values.start(own) - sizeof(Header), own.count);
    const Layout to(expected ? *expected : agree(of_all(own.count)), room);
    Numbers received = to.numbers(values.type);
    gather(values, own.count + room, received, to);
    if (expected) require_expected(received);
    return received;
  });
}

Numbers Ranks::allreduce(const Numbers& values, Reduction reduction) {
  const std::size_t count = values.runs.front().count;
  const Call call{.collective = Collective::allreduce,
                  .type = values.type,
                  .count = count,
                  .detail = static_cast<std::int32_t>(reduction)};
  return together(call, [&] {
    std::vector<std::size_t> counts = agree(of_all(count));
    const std::size_t ranks = counts.size();
    for (std::size_t to = 0; to < ranks; ++to) counts[to] = count / ranks + (to < count % ranks ? 1 : 0);
    const Layout parts(counts, 0);
    return gather_parts(reduce_part(values, parts, reduction), parts);
  });
}

/// This rank's part of all numbers, put together; of integers with a 1 behind it where a sum is out of range.
Numbers Ranks::reduce_part(const Numbers& values, const Layout& parts, Reduction reduction) {
  const std::size_t count = parts.runs()[static_cast<std::size_t>(rank())].count;
  const Layout blocks(of_all(count), 0);
  const Numbers received = blocks.numbers(values.type);
  exchange(values, parts, received, blocks);
  const std::size_t size_of_part = count * bytes_of(values.type);
  const std::size_t flag = is_integer(values.type) ? sizeof(std::uint64_t) : 0;
  const Numbers part{
      .type = values.type, .memory = bytes(size_of_part + flag), .runs = {{.offset = 0, .count = count}}};
  const bool within = reduce_in_order(values.type, reduction, received.memory.get(), size(), count, part.memory.get());
  const std::uint64_t beyond = within ? 0 : 1;
  std::memcpy(part.memory.get() + size_of_part, &beyond, flag);
  return part;
}

/// The parts of all ranks.
Numbers Ranks::gather_parts(const Numbers& part, const Layout& parts) {
  const std::size_t flag = is_integer(part.type) ? sizeof(std::uint64_t) / bytes_of(part.type) : 0;
  std::vector<std::size_t> counts;
  for (const Run& run : parts.runs()) counts.push_back(run.count + flag);
  const Layout to(counts, 0);
  Numbers gathered = to.numbers(part.type);
  gather(part, part.runs.front().count + flag, gathered, to);
  std::uint64_t beyond = 0;
  for (Run& run : gathered.runs) {
    run.count -= flag;
    std::uint64_t of_rank = 0;
    std::memcpy(&of_rank, gathered.start({.offset = run.offset + run.count, .count = 0}), flag * bytes_of(part.type));
    beyond |= of_rank;
  }
  if (beyond != 0) {
    throw Failure(FailureKind::value, std::string("Expected sums of all ranks in the range of a ") +
                                          name_of(part.type) +
                                          " for the values of allreduce but received a larger one");
  }
  return gathered;
}

void Ranks::bcast(const Numbers& values, int root) {
  const std::size_t count = values.runs.front().count;
  const Call call{.collective = Collective::bcast, .type = values.type, .count = count, .detail = root};
  together(call, [&] {
    agree(of_all(count));
    under_way_.push_back(values.memory);
    mpi_.begin_bcast(values.memory.get(), to_int(count), unit_of(values.type), root);
    finish();
  });
}

void Ranks::meet(Collective collective) {
  const Call call{.collective = collective, .type = Type::uint8, .count = {}, .detail = 0};
  together(call, [&] {
    agree(of_all(0));
    if (collective != Collective::finalize) return;
    std::this_thread::sleep_for(rest_before_the_end);
    mpi_.finalize();
    ended_ = true;
  });
}

void Ranks::barrier() {
  meet(Collective::barrier);
}

void Ranks::finalize() {
  meet(Collective::finalize);
}

}  // namespace cgfac::mpi
