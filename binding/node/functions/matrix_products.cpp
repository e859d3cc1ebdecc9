#include "node/functions/matrix_products.h"

#include <cstdint>
#include <span>
#include <string>

#include "core/base/error.h"
#include "core/kernels/matrix_product.h"
#include "node/convert/arrays.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

// The matrices of an array: rows × cols, or stored the other way round.
MatrixBatch matrices(const Napi::Value& value, const char* name, std::size_t count, std::size_t rows, std::size_t cols,
                     bool transposed) {
  const float* const data = float32_array(value, name, volume({count, rows, cols})).data();
  const MatrixView<const float> first =
      transposed ? MatrixView<const float>(data, cols, rows).transposed() : MatrixView<const float>(data, rows, cols);
  return {.first = first, .step = rows * cols};
}

// An array whose shape is 1, or that of the results, in each of three dimensions.
Broadcast broadcast(const Napi::Value& array, const Napi::Value& shape, const char* name,
                    std::initializer_list<std::size_t> results) {
  if (array.IsUndefined()) return {};
  const std::span<const std::uint32_t> extents = uint32_array(shape, "a shape");
  if (extents.size() != results.size()) {
    throw expected(ErrorCode::shape_mismatch, "three extents", name, std::to_string(extents.size()));
  }
  std::size_t dimension = 0;
  for (const std::size_t extent : results) {
    const std::size_t own = extents[dimension++];
    if (own != 1 && own != extent) {
      throw expected(ErrorCode::shape_mismatch, "extents of 1 or " + std::to_string(extent), name, std::to_string(own));
    }
  }
  const auto step = [&](std::size_t which, std::size_t distance) { return extents[which] == 1 ? 0 : distance; };
  const std::span<float> numbers = float32_array(array, name, volume({extents[0], extents[1], extents[2]}));
  return {.data = numbers.data(),
          .batch_step = step(0, std::size_t{extents[1]} * extents[2]),
          .row_step = step(1, extents[2]),
          .col_step = step(2, 1)};
}

Activation activation_of(const Napi::Value& value) {
  const std::string name = value.As<Napi::String>().Utf8Value();
  using enum Activation;
  if (name == "linear") return linear;
  if (name == "relu") return relu;
  if (name == "relu6") return relu6;
  if (name == "prelu") return prelu;
  if (name == "leakyrelu") return leaky_relu;
  if (name == "sigmoid") return sigmoid;
  if (name == "elu") return elu;
  throw expected(ErrorCode::invalid_value, "an activation", "activation", name);
}

std::span<const MatrixPair> matrix_pairs(const Napi::Value& value, std::size_t count_a, std::size_t count_b) {
  const std::span<const std::uint32_t> indices = uint32_array(value, "pairs");
  static_assert(sizeof(MatrixPair) == 2 * sizeof(std::uint32_t));
  const std::span<const MatrixPair> pairs(reinterpret_cast<const MatrixPair*>(indices.data()), indices.size() / 2);
  for (const MatrixPair& pair : pairs) {
    if (pair.a >= count_a || pair.b >= count_b) {
      throw expected(ErrorCode::shape_mismatch, "indices of matrices", "pairs",
                     std::to_string(pair.a) + " and " + std::to_string(pair.b));
    }
  }
  return pairs;
}

}  // namespace

Epilogue epilogue_of(const Napi::Object& call, std::initializer_list<std::size_t> results) {
  const auto get = [&](const char* name) -> Napi::Value { return call.Get(name); };
  Epilogue epilogue;
  epilogue.bias = broadcast(get("bias"), get("biasShape"), "bias", results);
  epilogue.activation = activation_of(get("activation"));
  epilogue.slope = get("slope").As<Napi::Number>().FloatValue();
  epilogue.slopes = broadcast(get("slopes"), get("slopesShape"), "slopes", results);
  if (epilogue.activation == Activation::prelu && epilogue.slopes.data == nullptr) {
    throw expected(ErrorCode::shape_mismatch, "slopes", "the activation prelu", "undefined");
  }
  return epilogue;
}

void matrix_products(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    constexpr std::size_t count = 7;
    const std::span<const std::uint32_t> sizes = uint32_array(info[0], "sizes");
    if (sizes.size() != count) {
      throw expected(ErrorCode::shape_mismatch, "five sizes and two flags", "a product",
                     std::to_string(sizes.size()) + " numbers");
    }
    const std::size_t rows = sizes[2];
    const std::size_t cols = sizes[3];
    const std::size_t inner = sizes[4];
    const std::span<const MatrixPair> pairs = matrix_pairs(info[1], sizes[0], sizes[1]);
    const MatrixBatch a = matrices(info[2], "a", sizes[0], rows, inner, sizes[5] != 0);
    const MatrixBatch b = matrices(info[3], "b", sizes[1], inner, cols, sizes[6] != 0);
    const std::span<float> out = float32_array(info[4], "out", volume({pairs.size(), rows, cols}));
    Epilogue epilogue;
    if (!info[5].IsUndefined()) epilogue = epilogue_of(info[5].As<Napi::Object>(), {pairs.size(), rows, cols});
    cgfac::matrix_products(a, b, pairs, epilogue, out);
  });
}

}  // namespace cgfac::node
