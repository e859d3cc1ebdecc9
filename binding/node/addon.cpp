#include "node/addon.h"

#include "core/blas.h"
#include "core/parallel.h"
#include "node/conjugate_gradient_wrap.h"
#include "node/errors.h"
#include "node/fisher_operator_wrap.h"
#include "node/layer_preconditioner_wrap.h"

namespace cgfac::node {

Addon::Addon(Napi::Env env, Napi::Object exports) {
  guarded(env, [] { blas::self_check(); });
  jobs_ = JobQueue::create(env);
  DefineAddon(exports, {InstanceMethod("info", &Addon::info)});
  exports.Set("CancelToken", CancelToken::define(env));
  exports.Set("FisherOperator", FisherOperatorWrap::define(env));
  exports.Set("ConjugateGradient", ConjugateGradientWrap::define(env));
  exports.Set("LayerPreconditioner", LayerPreconditionerWrap::define(env));
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
