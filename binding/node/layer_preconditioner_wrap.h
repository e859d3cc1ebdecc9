#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "core/layer_preconditioner.h"
#include "core/parallel.h"

namespace cgfac::node {

/// The native half of `LayerPreconditioner`. Its asynchronous calls run one after another, each on the batch that was
/// recorded when it was made.
class LayerPreconditionerWrap : public Napi::ObjectWrap<LayerPreconditionerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// (options): { damping, warmStart } and those of layer_shape and cg_fac_options.
  explicit LayerPreconditionerWrap(const Napi::CallbackInfo& info);

 private:
  using Precondition = std::function<CgFacSummary(const CancelFlag*)>;

  /// (inputs, outputGrads, batch, fisherRows)
  void record(const Napi::CallbackInfo& info);
  /// (vKernel, vBias, outKernel, outBias) → summary
  Napi::Value precondition_sync(const Napi::CallbackInfo& info);
  /// (vKernel, vBias, outKernel, outBias, cancelToken | undefined) → Promise<summary>
  Napi::Value precondition(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  [[nodiscard]] Precondition parse(const Napi::CallbackInfo& info) const;
  void require_idle(Napi::Env env, const char* call) const;

  std::shared_ptr<LayerPreconditioner> layer_;  // none once disposed; jobs under way keep it
  std::shared_ptr<Strand> strand_ = std::make_shared<Strand>(ThreadPool::shared());
  std::shared_ptr<std::size_t> pending_ = std::make_shared<std::size_t>(0);
};

}  // namespace cgfac::node
