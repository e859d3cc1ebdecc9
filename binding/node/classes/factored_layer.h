#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/layer/factored_layer.h"
#include "node/convert/arguments.h"

namespace cgfac::node {

/// The native half of a layer of `Preconditioner` under factored damping.
class FactoredLayerWrap : public Napi::ObjectWrap<FactoredLayerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// (options): those of layer_shape, and { history, decay, rank, panelRows, window }
  explicit FactoredLayerWrap(const Napi::CallbackInfo& info);

  /// ([{ layer, refresh, damping, curvature, kernel, bias, report }, …]): refreshes where it is asked for, and prepares
  /// the step of the recorded batch, or, with a kernel, preconditions that gradient in place.
  static void prepare_all_sync(const Napi::CallbackInfo& info);
  /// … and cancelToken | undefined → Promise
  static Napi::Value prepare_all(const Napi::CallbackInfo& info);
  /// ([{ layer, kernel, bias, factor, keep }, …]): out ← keep · out + factor · x
  static void write_all_sync(const Napi::CallbackInfo& info);
  /// → Promise
  static Napi::Value write_all(const Napi::CallbackInfo& info);

 private:
  struct Item;
  static std::vector<Item> parse_prepare(const Napi::CallbackInfo& info);
  static std::vector<Item> parse_write(const Napi::CallbackInfo& info);
  static void run(std::vector<Item>& items, const CancelFlag* cancel);
  static Napi::Value submit(const Napi::CallbackInfo& info, std::vector<Item> items, const Napi::Value& token);

  /// (inputs, lossGrads, rows, samples, factor)
  void record(const Napi::CallbackInfo& info);
  /// (outputGrads, rows, factor)
  void record_fisher(const Napi::CallbackInfo& info);
  void require_finite(const Napi::CallbackInfo& info);
  void clear(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  void roll_back(const Napi::CallbackInfo& info);
  /// () → { recorded, factors, workspace }, bytes
  Napi::Value memory_usage(const Napi::CallbackInfo& info);
  /// () → { input, output }, each { rows, squares, average, numbers }
  Napi::Value state(const Napi::CallbackInfo& info);
  void restore(const Napi::CallbackInfo& info);
  void require_idle(Napi::Env env) const;

  std::shared_ptr<FactoredLayer> layer_;
  std::shared_ptr<std::size_t> pending_ = std::make_shared<std::size_t>(0);
};

}  // namespace cgfac::node
