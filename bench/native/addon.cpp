// cgfac_bench.node: what benchmarks measure against, linked from the core as cgfac.node is. It is never published. A
// process that loads both has each one's pool threads and OpenBLAS: bench/harness/floor.ts sees to it that they match.
#include <napi.h>

#include <cstddef>
#include <string>

#include "core/base/matrix_view.h"
#include "core/linalg/openblas.h"
#include "core/linalg/self_check.h"
#include "core/threads/thread_pool.h"
#include "native/floor.h"

namespace cgfac::bench {
namespace {

// A call's argument that is a row-major matrix of exactly that size.
MatrixView<float> matrix(const Napi::CallbackInfo& info, std::size_t index, std::size_t rows, std::size_t cols) {
  const Napi::Value value = info[index];
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) {
    auto array = value.As<Napi::Float32Array>();
    if (array.ElementLength() == rows * cols) return {array.Data(), rows, cols};
  }
  throw Napi::TypeError::New(info.Env(), "Expected a Float32Array of " + std::to_string(rows * cols) +
                                             " numbers for argument " + std::to_string(index) +
                                             " but received something else");
}

// (g, v, a, h, out, rows, outFeatures, inFeatures, blocks): not an object, whose nine properties take 3 µs to read; the
// products of a layer of 64 × 64 take 7.
void floor_products_of(const Napi::CallbackInfo& info) {
  const auto count = [&](std::size_t index) -> std::size_t { return info[index].As<Napi::Number>().Uint32Value(); };
  const std::size_t rows = count(5);
  const std::size_t m = count(6);
  const std::size_t n = count(7);
  floor_products(matrix(info, 0, rows, m), matrix(info, 1, m, n), matrix(info, 2, rows, n), matrix(info, 3, rows, n),
                 matrix(info, 4, m, n), count(8));
}

// (a, b, c, rows, inner, columns, blocks)
void product_of(const Napi::CallbackInfo& info) {
  const auto count = [&](std::size_t index) -> std::size_t { return info[index].As<Napi::Number>().Uint32Value(); };
  const std::size_t rows = count(3);
  const std::size_t inner = count(4);
  const std::size_t cols = count(5);
  product(matrix(info, 0, rows, inner), matrix(info, 1, inner, cols), matrix(info, 2, rows, cols), count(6));
}

// (threads)
void set_threads(const Napi::CallbackInfo& info) {
  ThreadPool::shared().resize(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  blas::self_check();
  exports.Set("blasCore", blas::info().core);
  exports.Set("setThreads", Napi::Function::New(env, set_threads, "setThreads"));
  exports.Set("product", Napi::Function::New(env, product_of, "product"));
  exports.Set("floorProducts", Napi::Function::New(env, floor_products_of, "floorProducts"));
  return exports;
}

}  // namespace
}  // namespace cgfac::bench

using cgfac::bench::initialise;  // NOLINT(google-global-names-in-headers): no header, also where lint includes it
NODE_API_MODULE(cgfac_bench, initialise)
