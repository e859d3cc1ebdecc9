#pragma once

#include <napi.h>

#include <memory>

#include "core/layer/layer_preconditioner.h"
#include "core/operator/fisher_operator.h"
#include "core/threads/workspace_pool.h"
#include "node/async/job.h"

namespace cgfac::node {

/// The native half of `FisherOperator`: two borrowed arrays, a shape and a damping.
class FisherOperatorWrap : public Napi::ObjectWrap<FisherOperatorWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// (options): { inputs, outputGrads, batch, fisherRows, damping } and those of layer_shape.
  explicit FisherOperatorWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] const LayerShape& shape() const { return shape_; }
  [[nodiscard]] const Damping& damping() const { return damping_; }
  /// The rows as they lie in memory now. Throws where the arrays have lost their length, by a transfer.
  [[nodiscard]] Batch batch() const;
  /// Keeps the borrowed arrays for a job.
  void pin(Job& job);

 private:
  using Workspaces = WorkspacePool<FisherOperator::Workspace>;
  /// (vKernel, vBias, outKernel, outBias)
  void apply_sync(const Napi::CallbackInfo& info);
  /// (vKernel, vBias, outKernel, outBias, cancelToken | undefined) → Promise<undefined>
  Napi::Value apply(const Napi::CallbackInfo& info);
  [[nodiscard]] std::function<void()> parse(const Napi::CallbackInfo& info);

  LayerShape shape_;
  Damping damping_;
  std::size_t input_rows_;
  std::size_t output_rows_;
  Napi::ObjectReference inputs_;
  Napi::ObjectReference output_grads_;
  std::shared_ptr<Workspaces> workspaces_ = std::make_shared<Workspaces>();
};

/// Binds a job to the token that JavaScript holds, if it gave one.
void use_token(Job& job, const Napi::Value& token);

}  // namespace cgfac::node
