#include "node/addon.h"

#include <atomic>
#include <string>

#include "core/linalg/openblas.h"
#include "core/linalg/self_check.h"
#include "core/threads/allowance.h"
#include "core/threads/thread_pool.h"
#include "node/classes/conjugate_gradient.h"
#include "node/classes/fisher_operator.h"
#include "node/classes/layer.h"
#include "node/classes/spectrum.h"
#include "node/errors.h"
#include "node/functions/array_moves.h"
#include "node/functions/binary.h"
#include "node/functions/convolutions.h"
#include "node/functions/element_wise.h"
#include "node/functions/matrix_products.h"
#include "node/functions/network.h"
#include "node/functions/sampled_errors.h"
#include "node/functions/shares.h"
#include "node/functions/vectors.h"

namespace cgfac::node {

Addon::Addon(Napi::Env env, Napi::Object exports) : rooms_(std::make_shared<Rooms>(env)) {
  guarded(env, [] { blas::self_check(); });
  jobs_ = JobQueue::create(env);
  DefineAddon(exports, {InstanceMethod("info", &Addon::info), InstanceMethod("setThreads", &Addon::set_threads),
                        InstanceMethod("refusedThreads", &Addon::refused_threads)});
  exports.Set("CancelToken", CancelToken::define(env));
  exports.Set("FisherOperator", FisherOperatorWrap::define(env));
  exports.Set("ConjugateGradient", ConjugateGradientWrap::define(env));
  exports.Set("Layer", LayerWrap::define(env));
  const auto define = [&](const char* name, auto function) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  define("preconditionAllSync", precondition_all_sync);
  define("prepareAllSync", prepare_all_sync);
  define("prepareAll", prepare_all);
  define("writeAllSync", write_all_sync);
  define("writeAll", write_all);
  define("recordedShare", recorded_share);
  define("recordShare", record_share);
  define("shareCounts", share_counts);
  define("shareAllSync", share_all_sync);
  define("shareAll", share_all);
  define("takeShares", take_shares);
  define("direction", direction);
  define("takeDirection", take_direction);
  define("measureAllSync", measure_all_sync);
  define("measureAll", measure_all);
  define("averageAll", average_all);
  define("copyAll", copy_all);
  define("combine", combine);
  define("firstNotFinite", first_not_finite);
  define("square", square);
  define("fingerprint", fingerprint);
  define("matrixProducts", matrix_products);
  define("convolution", convolution);
  define("convolutionGradient", convolution_gradient);
  define("poolingGradient", pooling_gradient);
  define("segmentSum", segment_sum);
  define("elementWise", element_wise);
  define("elementWiseGradient", element_wise_gradient);
  define("binary", binary);
  define("cast", cast);
  define("select", select);
  define("batchNormalization", batch_normalization);
  define("reduce", reduce);
  define("stridedCopy", strided_copy);
  define("gatherRows", gather_rows);
  define("sampleErrors", sample_errors);
  define("fitHead", fit_head);
  define("targetEntropy", target_entropy);
  spectrum_class_ = Napi::Persistent(SpectrumWrap::define(env));
}

void Addon::set_threads(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { ThreadPool::shared().resize(info[0].As<Napi::Number>().Uint32Value()); });
}

Napi::Value Addon::refused_threads(const Napi::CallbackInfo& info) {
  static std::atomic_flag told;
  const std::string refused = thread_setting().refused;
  if (refused.empty() || told.test_and_set()) return info.Env().Undefined();
  return Napi::String::New(info.Env(), refused);
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
  result.Set("threadsAllowed", static_cast<double>(allowed_threads()));
  result.Set("threadsRefused", static_cast<double>(ThreadPool::shared().refused()));
  result.Set("napi", NAPI_VERSION);
  return result;
}

}  // namespace cgfac::node

using cgfac::node::Addon;  // NOLINT(google-global-names-in-headers): no header, also where lint includes it
NODE_API_ADDON(Addon)
