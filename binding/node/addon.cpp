#include "node/addon.h"

#include "core/blas.h"
#include "core/floor.h"
#include "core/parallel.h"
#include "node/arguments.h"
#include "node/conjugate_gradient_wrap.h"
#include "node/errors.h"
#include "node/fisher_operator_wrap.h"
#include "node/layer_preconditioner_wrap.h"
#include "node/matrix_product_wrap.h"

namespace cgfac::node {

Addon::Addon(Napi::Env env, Napi::Object exports) {
  guarded(env, [] { blas::self_check(); });
  jobs_ = JobQueue::create(env);
  DefineAddon(exports, {InstanceMethod("info", &Addon::info), InstanceMethod("setThreads", &Addon::set_threads),
                        InstanceMethod("floorProducts", &Addon::floor_products)});
  exports.Set("CancelToken", CancelToken::define(env));
  exports.Set("FisherOperator", FisherOperatorWrap::define(env));
  exports.Set("ConjugateGradient", ConjugateGradientWrap::define(env));
  exports.Set("LayerPreconditioner", LayerPreconditionerWrap::define(env));
  exports.Set("preconditionAllSync",
              Napi::Function::New(env, LayerPreconditionerWrap::precondition_all, "preconditionAllSync"));
  exports.Set("matrixProducts", Napi::Function::New(env, node::matrix_products, "matrixProducts"));
  spectrum_class_ = Napi::Persistent(SpectrumWrap::define(env));
}

void Addon::set_threads(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { ThreadPool::shared().resize(info[0].As<Napi::Number>().Uint32Value()); });
}

void Addon::floor_products(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::size_t rows = info[5].As<Napi::Number>().Uint32Value();
    const std::size_t m = info[6].As<Napi::Number>().Uint32Value();
    const std::size_t n = info[7].As<Napi::Number>().Uint32Value();
    const auto array = [&](std::size_t index, const char* name, std::size_t height, std::size_t width) {
      return MatrixView<float>(float32_array(info[index], name, height * width).data(), height, width);
    };
    cgfac::floor_products(array(0, "g", rows, m), array(1, "v", m, n), array(2, "a", rows, n), array(3, "h", rows, n),
                          array(4, "out", m, n), info[8].As<Napi::Number>().Uint32Value());
  });
}

Napi::Value Addon::info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const blas::Info library = blas::info();
  const Napi::Object blas = Napi::Object::New(env);
  blas.Set("vendor", "OpenBLAS");
  blas.Set("version", library.version);
  blas.Set("core", library.core);
  blas.Set("threads", library.threads);
  Napi::Object result = Napi::Object::New(env);
  result.Set("version", CGFAC_VERSION);
  result.Set("blas", blas);
  result.Set("threads", static_cast<double>(ThreadPool::shared().size()));
  result.Set("napi", NAPI_VERSION);
  return result;
}

}  // namespace cgfac::node

using cgfac::node::Addon;
NODE_API_ADDON(Addon)
