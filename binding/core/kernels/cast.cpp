#include "core/kernels/cast.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_cast = 20;

// ToInt32 of a number beyond the integers of 32 bits.
std::int32_t wrapped(float x) {
  constexpr double modulus = 4294967296.0;
  if (!std::isfinite(x)) return 0;
  const double rest = std::fmod(std::trunc(static_cast<double>(x)), modulus);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(rest < 0 ? rest + modulus : rest));
}

// Numbers that an integer holds are cut off several at a time, the others in a second pass, which is seldom needed.
CGFAC_CLONES void convert(std::size_t count, const float* x, std::int32_t* out) {
  constexpr float bound = 2147483648.0F;
  std::uint32_t beyond = 0;
#pragma omp simd reduction(| : beyond)
  for (std::size_t i = 0; i < count; ++i) {
    const bool inside = x[i] >= -bound && x[i] < bound;
    out[i] = static_cast<std::int32_t>(inside ? x[i] : 0.0F);
    beyond |= inside ? 0U : 1U;
  }
  if (beyond == 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (!(x[i] >= -bound && x[i] < bound)) out[i] = wrapped(x[i]);
  }
}

CGFAC_CLONES void convert(std::size_t count, const float* x, std::uint8_t* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = x[i] != 0.0F ? 1 : 0;
}

CGFAC_CLONES void convert(std::size_t count, const std::int32_t* x, std::uint8_t* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = x[i] != 0 ? 1 : 0;
}

template <typename In, typename Out>
void in_pieces(std::span<const In> x, std::span<Out> out) {
  const double flops = flops_of_cast * static_cast<double>(x.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t begin = cut(x.size(), piece, pieces);
    convert(cut(x.size(), piece + 1, pieces) - begin, x.data() + begin, out.data() + begin);
  });
}

}  // namespace

void cast(std::span<const float> x, std::span<std::int32_t> out) {
  in_pieces(x, out);
}

void cast(std::span<const float> x, std::span<std::uint8_t> out) {
  in_pieces(x, out);
}

void cast(std::span<const std::int32_t> x, std::span<std::uint8_t> out) {
  in_pieces(x, out);
}

}  // namespace cgfac
