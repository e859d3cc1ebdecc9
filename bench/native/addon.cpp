// cgfac_bench.node: what benchmarks measure against, linked from the core as cgfac.node is. It is never published. A
// process that loads both has each one's pool threads and OpenBLAS: bench/harness/floor.ts sees to it that they match.
#include <napi.h>

#include "core/base/matrix_view.h"
#include "core/linalg/openblas.h"
#include "core/linalg/self_check.h"
#include "core/threads/thread_pool.h"
#include "native/floor.h"

namespace cgfac::bench {
namespace {

// A property of the call's object that holds a row-major matrix of exactly that size.
MatrixView<float> matrix(const Napi::Object& call, const char* name, std::size_t rows, std::size_t cols) {
  const Napi::Value value = call.Get(name);
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_float32_array) {
    auto array = value.As<Napi::Float32Array>();
    if (array.ElementLength() == rows * cols) return {array.Data(), rows, cols};
  }
  throw Napi::TypeError::New(call.Env(), std::string("Expected a Float32Array of ") + std::to_string(rows * cols) +
                                             " numbers for " + name + " but received something else");
}

std::size_t count(const Napi::Object& call, const char* name) {
  return call.Get(name).As<Napi::Number>().Uint32Value();
}

// ({ g, v, a, h, out, rows, outFeatures, inFeatures, blocks })
void floor_products_of(const Napi::CallbackInfo& info) {
  const auto call = info[0].As<Napi::Object>();
  const std::size_t rows = count(call, "rows");
  const std::size_t m = count(call, "outFeatures");
  const std::size_t n = count(call, "inFeatures");
  floor_products(matrix(call, "g", rows, m), matrix(call, "v", m, n), matrix(call, "a", rows, n),
                 matrix(call, "h", rows, n), matrix(call, "out", m, n), count(call, "blocks"));
}

// (threads)
void set_threads(const Napi::CallbackInfo& info) {
  ThreadPool::shared().resize(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  blas::self_check();
  exports.Set("blasCore", blas::info().core);
  exports.Set("setThreads", Napi::Function::New(env, set_threads, "setThreads"));
  exports.Set("floorProducts", Napi::Function::New(env, floor_products_of, "floorProducts"));
  return exports;
}

}  // namespace
}  // namespace cgfac::bench

using cgfac::bench::initialise;
NODE_API_MODULE(cgfac_bench, initialise)
