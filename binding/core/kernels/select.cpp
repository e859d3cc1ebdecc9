#include "core/kernels/select.h"

#include <cstddef>

#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// What a number costs, in flops of a matrix product: 0.3 ns.
constexpr double flops_of_choice = 20;

CGFAC_CLONES void choose(std::size_t count, const std::uint8_t* condition, const float* yes, const float* no,
                         float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = condition[i] != 0 ? yes[i] : no[i];
}

CGFAC_CLONES void choose(std::size_t count, const std::uint8_t* condition, const std::int32_t* yes,
                         const std::int32_t* no, std::int32_t* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = condition[i] != 0 ? yes[i] : no[i];
}

CGFAC_CLONES void choose(std::size_t count, const std::uint8_t* condition, const std::uint8_t* yes,
                         const std::uint8_t* no, std::uint8_t* out) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) out[i] = condition[i] != 0 ? yes[i] : no[i];
}

template <typename T>
void select_in_pieces(std::span<const std::uint8_t> condition, std::span<const T> yes, std::span<const T> no,
                      std::span<T> out) {
  const double flops = flops_of_choice * static_cast<double>(out.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  parallel_for(pieces, flops, [&](std::size_t piece) {
    const std::size_t begin = cut(out.size(), piece, pieces);
    const std::size_t count = cut(out.size(), piece + 1, pieces) - begin;
    choose(count, condition.data() + begin, yes.data() + begin, no.data() + begin, out.data() + begin);
  });
}

}  // namespace

void select(std::span<const std::uint8_t> condition, std::span<const float> yes, std::span<const float> no,
            std::span<float> out) {
  select_in_pieces(condition, yes, no, out);
}

void select(std::span<const std::uint8_t> condition, std::span<const std::int32_t> yes,
            std::span<const std::int32_t> no, std::span<std::int32_t> out) {
  select_in_pieces(condition, yes, no, out);
}

void select(std::span<const std::uint8_t> condition, std::span<const std::uint8_t> yes,
            std::span<const std::uint8_t> no, std::span<std::uint8_t> out) {
  select_in_pieces(condition, yes, no, out);
}

}  // namespace cgfac
