#include "node/functions/array_moves.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/kernels/reduction.h"
#include "core/kernels/strided_copy.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

Reduction reduction_of(const Napi::Value& value) {
  const std::string name = value.As<Napi::String>().Utf8Value();
  if (name == "sum") return Reduction::sum;
  if (name == "mean") return Reduction::mean;
  if (name == "max") return Reduction::max;
  throw expected(ErrorCode::invalid_value, "'sum', 'mean' or 'max'", "reduction", name);
}

template <std::size_t Count>
std::span<const std::uint32_t, Count> numbers_of(const Napi::Value& value, const char* name) {
  const std::span<const std::uint32_t> numbers = uint32_array(value, name);
  if (numbers.size() == Count) return numbers.first<Count>();
  throw expected(ErrorCode::shape_mismatch, std::to_string(Count) + " numbers", name, std::to_string(numbers.size()));
}

// Where numbers of an array lie.
class Places {
 public:
  Places(std::size_t first, std::size_t length, const char* name) : last_(first), length_(length), name_(name) {
    require_inside();
  }

  // The distance of an axis, whose product with its extent has at most 64 bits.
  void add(std::size_t extent, std::size_t step) {
    const std::size_t distance = (extent - 1) * step;
    last_ = distance < length_ ? last_ + distance : length_;
    require_inside();
  }

 private:
  void require_inside() const {
    if (last_ < length_) return;
    throw expected(ErrorCode::shape_mismatch, "places inside of the array", name_,
                   std::to_string(length_) + " numbers");
  }

  std::size_t last_;
  std::size_t length_;
  const char* name_;
};

}  // namespace

void reduce(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Reduction reduction = reduction_of(info[0]);
    const auto sizes = numbers_of<4>(info[1], "extents");
    const ReducedExtents extents{.outer = sizes[0], .rows = sizes[1], .columns = sizes[2], .inner = sizes[3]};
    const std::size_t numbers = volume({extents.outer, extents.rows, extents.columns, extents.inner});
    const std::span<const float> x = float32_array(info[2], "x", numbers);
    cgfac::reduce(reduction, extents, x, float32_array(info[3], "out", extents.results()));
  });
}

void strided_copy(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::span<const std::uint32_t> sizes = uint32_array(info[0], "places");
    const std::size_t rank = size_of(info[1]);
    if (rank > most_copied_axes || sizes.size() < 2 + (3 * rank)) {
      throw expected(ErrorCode::shape_mismatch, "two offsets, and three numbers for each of at most 16 axes", "places",
                     std::to_string(sizes.size()) + " numbers for " + std::to_string(rank) + " axes");
    }
    const std::span<const float> from = float32_array(info[2], "from");
    const std::span<float> to = float32_array(info[3], "to");
    Places read(sizes[0], from.size(), "from");
    Places written(sizes[1], to.size(), "to");
    std::array<CopiedAxis, most_copied_axes> axes{};
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const auto of = sizes.subspan(2 + (3 * axis), 3);
      if (of[0] == 0 || of[2] == 0)
        throw expected(ErrorCode::invalid_value, "positive extents, and steps that write each number once", "places",
                       "0");
      axes.at(axis) = {.extent = of[0], .from_step = of[1], .to_step = of[2]};
      read.add(of[0], of[1]);
      written.add(of[0], of[2]);
    }
    cgfac::strided_copy(std::span(axes).first(rank), from.data() + sizes[0], to.data() + sizes[1]);
  });
}

Napi::Value gather_rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto sizes = numbers_of<3>(info[0], "sizes");
    const GatheredRows shape{.outer = sizes[0], .rows = sizes[1], .width = sizes[2]};
    const std::span<const float> from = float32_array(info[1], "from", volume({shape.outer, shape.rows, shape.width}));
    const std::span<const std::int32_t> ids = int32_array(info[2], "ids");
    const std::span<float> to = float32_array(info[3], "to", volume({shape.outer, ids.size(), shape.width}));
    // as unsigned numbers, negative ones are too large, too
    const bool inside =
        std::ranges::all_of(ids, [&](std::int32_t id) { return static_cast<std::uint32_t>(id) < shape.rows; });
    if (inside) cgfac::gather_rows(shape, from.data(), ids, to.data());
    return Napi::Boolean::New(info.Env(), inside);
  });
}

}  // namespace cgfac::node
