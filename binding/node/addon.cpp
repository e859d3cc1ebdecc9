#include "node/addon.h"

#include "core/linalg/openblas.h"
#include "core/linalg/self_check.h"
#include "core/threads/thread_pool.h"
#include "node/classes/conjugate_gradient.h"
#include "node/classes/factored_layer.h"
#include "node/classes/fisher_operator.h"
#include "node/classes/layer_preconditioner.h"
#include "node/convert/arguments.h"
#include "node/errors.h"
#include "node/functions/matrix_products.h"

namespace cgfac::node {

Addon::Addon(Napi::Env env, Napi::Object exports) {
  guarded(env, [] { blas::self_check(); });
  jobs_ = JobQueue::create(env);
  DefineAddon(exports, {InstanceMethod("info", &Addon::info), InstanceMethod("setThreads", &Addon::set_threads),
                        InstanceMethod("formGradient", &Addon::form_gradient)});
  exports.Set("CancelToken", CancelToken::define(env));
  exports.Set("FisherOperator", FisherOperatorWrap::define(env));
  exports.Set("ConjugateGradient", ConjugateGradientWrap::define(env));
  exports.Set("LayerPreconditioner", LayerPreconditionerWrap::define(env));
  exports.Set("preconditionAllSync",
              Napi::Function::New(env, LayerPreconditionerWrap::precondition_all, "preconditionAllSync"));
  exports.Set("FactoredLayer", FactoredLayerWrap::define(env));
  exports.Set("prepareAllSync", Napi::Function::New(env, FactoredLayerWrap::prepare_all_sync, "prepareAllSync"));
  exports.Set("prepareAll", Napi::Function::New(env, FactoredLayerWrap::prepare_all, "prepareAll"));
  exports.Set("writeAllSync", Napi::Function::New(env, FactoredLayerWrap::write_all_sync, "writeAllSync"));
  exports.Set("writeAll", Napi::Function::New(env, FactoredLayerWrap::write_all, "writeAll"));
  exports.Set("matrixProducts", Napi::Function::New(env, node::matrix_products, "matrixProducts"));
  spectrum_class_ = Napi::Persistent(SpectrumWrap::define(env));
}

void Addon::set_threads(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { ThreadPool::shared().resize(info[0].As<Napi::Number>().Uint32Value()); });
}

void Addon::form_gradient(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const LayerShape shape = layer_shape(info[0].As<Napi::Object>());
    const std::size_t rows = info[3].As<Napi::Number>().Uint32Value();
    const auto inputs = float32_array(info[1], "inputs", rows * shape.in_features);
    const auto loss_grads = float32_array(info[2], "lossGrads", rows * shape.out_features);
    const WeightArrays out = weight_arrays(info[4], info[5], "out", shape);
    const MatrixView<const float> grads(loss_grads.data(), rows, shape.out_features);
    const FisherBlock block =
        fisher_block(shape, {.inputs = {inputs.data(), rows, shape.in_features}, .output_grads = grads});
    cgfac::form_gradient(block, {.v = {}, .loss_grads = grads, .scale = info[6].As<Napi::Number>().DoubleValue()},
                         out.view(block));
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
