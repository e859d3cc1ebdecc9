#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/operator/fisher_operator.h"
#include "core/threads/workspace_pool.h"
#include "node/classes/call.h"
#include "node/convert/arrays.h"
#include "node/native_memory.h"

namespace cgfac::node {

/// The native half of `FisherOperator`: two borrowed arrays, a shape and a damping. The arrays are properties of the
/// JavaScript object, and weak references of this one: with strong ones an array that refers to its operator would keep
/// both alive for good.
class FisherOperatorWrap : public Napi::ObjectWrap<FisherOperatorWrap>, private MemoryHolder {
 public:
  /// The class as JavaScript has it.
  static Napi::Function define(Napi::Env env);
  /// (options): { inputs, outputGrads, batch, fisherRows, damping } and those of layer_shape.
  explicit FisherOperatorWrap(const Napi::CallbackInfo& info);

  [[nodiscard]] const LayerShape& shape() const { return shape_; }
  [[nodiscard]] const Damping& damping() const { return damping_; }
  /// The rows as they lie in memory now. Throws where the arrays have lost their length, by a transfer.
  [[nodiscard]] Batch batch() const;

 private:
  using Workspaces = WorkspacePool<FisherOperator::Workspace>;
  /// (vKernel, vBias, outKernel, outBias)
  Napi::Value apply_sync(const Napi::CallbackInfo& info);
  /// (vKernel, vBias, outKernel, outBias, cancelToken | undefined, fresh) → Promise<undefined>; `fresh`: whether `out`
  /// is new.
  Napi::Value apply(const Napi::CallbackInfo& info);
  [[nodiscard]] Call<Nothing> parse(const Napi::CallbackInfo& info, CallMemory& memory, bool fresh);

  [[nodiscard]] bool collected() const override { return Value().IsEmpty(); }
  void let_go() override;

  LayerShape shape_;
  Damping damping_;
  std::size_t input_rows_;
  std::size_t output_rows_;
  Napi::ObjectReference inputs_;
  Napi::ObjectReference output_grads_;
  std::shared_ptr<Workspaces> workspaces_ = std::make_shared<Workspaces>();
};

}  // namespace cgfac::node
