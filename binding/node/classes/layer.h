#pragma once

#include <napi.h>

#include <memory>

#include "core/layer/layer.h"
#include "core/threads/strand.h"
#include "node/classes/call.h"
#include "node/convert/arrays.h"
#include "node/native_memory.h"

namespace cgfac::node {

/// The native half of a layer, of `LayerPreconditioner` and of `Preconditioner` alike. Its asynchronous calls run one
/// after another, each on the batch that was recorded when it was made.
class LayerWrap : public Napi::ObjectWrap<LayerWrap>, private MemoryHolder {
 public:
  /// The class as JavaScript has it.
  static Napi::Function define(Napi::Env env);
  /// (options): those of layer_shape and layer_options.
  explicit LayerWrap(const Napi::CallbackInfo& info);

  static LayerWrap& of(const Napi::Value& value) { return *Unwrap(value.As<Napi::Object>()); }
  [[nodiscard]] const std::shared_ptr<Layer>& layer() const { return layer_; }
  /// A call of the layer's is pending from now on.
  void start() { ++pending_; }
  /// A call of the layer's has settled.
  void settle();
  /// Tells the engine what the layer holds, unless a call is pending.
  void tell_memory();
  void require_idle(Napi::Env env, const char* call) const;

  /// What `precondition` and `natural_gradient` give.
  struct Solved {
    LayerSummary summary{};
    std::shared_ptr<Spectrum> spectrum{};  // where it was asked for and there is one
  };
  /// The work of `precondition` with the recorded batch.
  [[nodiscard]] std::function<Solved(const CancelFlag*)> solve(const WeightArrays& v, const WeightArrays& out,
                                                               bool spectrum) const;

 private:
  // --- A single layer
  /// (inputs, outputGrads, batch, fisherRows)
  void record_batch(const Napi::CallbackInfo& info);
  // Each writes a SolveReport and gives the spectrum, or undefined. `fresh`: whether `out` is new.
  /// (vKernel, vBias, outKernel, outBias, report, spectrum, cancelToken | undefined, fresh)
  Napi::Value precondition_sync(const Napi::CallbackInfo& info);
  Napi::Value precondition(const Napi::CallbackInfo& info);
  /// ({ inputs, outputGrads, lossGrads, batch, fisherRows, kernel, bias, factor, keep, spectrum, report, fresh },
  /// token)
  Napi::Value natural_gradient_sync(const Napi::CallbackInfo& info);
  Napi::Value natural_gradient(const Napi::CallbackInfo& info);
  /// () → the estimated work of a solve with the recorded rows, in no unit
  Napi::Value estimated_cost(const Napi::CallbackInfo& info);
  /// ‖x‖ of the direction that was prepared.
  Napi::Value direction_norm(const Napi::CallbackInfo& info);

  // --- A layer of a network; functions/network.h has the phases that all layers go through together
  /// ({ inputs, lossGrads, rows, samples, factor, firstSample, batch })
  void record(const Napi::CallbackInfo& info);
  /// (outputGrads, rows, factor)
  void record_fisher(const Napi::CallbackInfo& info);
  void require_finite(const Napi::CallbackInfo& info);
  void roll_back(const Napi::CallbackInfo& info);
  void clear(const Napi::CallbackInfo& info);

  // --- What is kept
  /// ({ damping }): of the calls to come
  void set_patches(const Napi::CallbackInfo& info);
  void set_damping(const Napi::CallbackInfo& info);
  /// () → { recorded, workspace, previous, factors }, bytes
  Napi::Value memory_usage(const Napi::CallbackInfo& info);
  /// () → see node/convert/state.h
  Napi::Value state(const Napi::CallbackInfo& info);
  void restore(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  [[nodiscard]] WeightArrays destination(const Napi::Object& object, const WeightArrays& wanted,
                                         CallMemory& memory) const;
  [[nodiscard]] Call<Solved> parse_precondition(const Napi::CallbackInfo& info, CallMemory& memory);
  [[nodiscard]] Call<Solved> parse_natural_gradient(const Napi::CallbackInfo& info, CallMemory& memory);
  [[nodiscard]] Call<Solved> call(std::function<Solved(const CancelFlag*)> work, std::span<double> report);
  [[nodiscard]] bool collected() const override { return Value().IsEmpty(); }
  void let_go() override;

  std::shared_ptr<Layer> layer_;  // none once disposed; jobs under way keep it
  std::shared_ptr<Strand> strand_ = std::make_shared<Strand>(ThreadPool::shared());
  std::size_t recorded_ = 0;  // numbers of the last batch, of which the engine knows
  std::size_t pending_ = 0;   // calls that have not settled, each of which keeps this object
};

}  // namespace cgfac::node
