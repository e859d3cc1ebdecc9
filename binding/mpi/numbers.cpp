#include "mpi/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace cgfac::mpi {
namespace {

/// Numbers that are put together at a time: of eight bytes 32 KiB, which stay in the first cache.
constexpr std::size_t piece = 4096;

// Whether b takes the place of the least, or the largest, number so far.
template <typename Number>
bool takes_over(Reduction reduction, Number b, Number best) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (std::isnan(best)) return false;
    if (std::isnan(b)) return true;
  }
  return reduction == Reduction::min ? b < best : b > best;
}

template <typename Number>
void put_together(Reduction reduction, const Number* from, std::size_t count, Number* to) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (reduction == Reduction::sum) {
      for (std::size_t i = 0; i < count; ++i) to[i] += from[i];  // out_i ← out_i + b_ri
      return;
    }
  }
  for (std::size_t i = 0; i < count; ++i) to[i] = takes_over(reduction, from[i], to[i]) ? from[i] : to[i];
}

// Exact sums, in 64 bits: 2^32 ranks of 32 bits are beyond any run.
template <typename Number>
bool sum_exactly(const Number* blocks, std::size_t ranks, std::size_t count, Number* out) {
  bool within = true;
  for (std::size_t i = 0; i < count; ++i) {
    std::int64_t sum = 0;
    for (std::size_t rank = 0; rank < ranks; ++rank) sum += blocks[rank * count + i];
    within = within && sum >= std::numeric_limits<Number>::min() && sum <= std::numeric_limits<Number>::max();
    out[i] = static_cast<Number>(sum);
  }
  return within;
}

template <typename Number>
bool reduce(Reduction reduction, const Number* blocks, std::size_t ranks, std::size_t count, Number* out) {
  if constexpr (std::is_integral_v<Number>) {
    if (reduction == Reduction::sum) return sum_exactly(blocks, ranks, count, out);
  }
  for (std::size_t begin = 0; begin < count; begin += piece) {
    const std::size_t length = std::min(piece, count - begin);
    std::memcpy(out + begin, blocks + begin, length * sizeof(Number));
    for (std::size_t rank = 1; rank < ranks; ++rank)
      put_together(reduction, blocks + rank * count + begin, length, out + begin);
  }
  return true;
}

template <typename Number>
bool reduce_bytes(Reduction reduction, const std::byte* blocks, int ranks, std::size_t count, std::byte* out) {
  return reduce(reduction, reinterpret_cast<const Number*>(blocks), static_cast<std::size_t>(ranks), count,
                reinterpret_cast<Number*>(out));
}

}  // namespace

const char* name_of(Type type) {
  switch (type) {
    case Type::float32:
      return "Float32Array";
    case Type::float64:
      return "Float64Array";
    case Type::int32:
      return "Int32Array";
    case Type::uint8:
      return "Uint8Array";
  }
  return "unknown";
}

std::size_t bytes_of(Type type) {
  return static_cast<std::size_t>(unit_of(type));
}

Unit unit_of(Type type) {
  if (type == Type::uint8) return Unit::one;
  return type == Type::float64 ? Unit::eight : Unit::four;
}

bool is_integer(Type type) {
  return type == Type::int32 || type == Type::uint8;
}

bool reduce_in_order(Type type, Reduction reduction, const std::byte* blocks, int ranks, std::size_t count,
                     std::byte* out) {
  switch (type) {
    case Type::float32:
      return reduce_bytes<float>(reduction, blocks, ranks, count, out);
    case Type::float64:
      return reduce_bytes<double>(reduction, blocks, ranks, count, out);
    case Type::int32:
      return reduce_bytes<std::int32_t>(reduction, blocks, ranks, count, out);
    case Type::uint8:
      break;
  }
  return reduce_bytes<std::uint8_t>(reduction, blocks, ranks, count, out);
}

}  // namespace cgfac::mpi
