#pragma once

#include <napi.h>

#include <memory>
#include <utility>
#include <vector>

#include "core/layer/layer.h"
#include "node/async/job.h"
#include "node/classes/layer.h"

namespace cgfac::node {

/// The layers of a list, none of which has a call pending.
struct Layers {
  std::vector<std::shared_ptr<Layer>> layers;
  std::vector<LayerWrap*> wraps;  // which a pending call keeps with its list
  std::vector<double> costs;

  Layers(const Napi::CallbackInfo& info, const char* call) {
    const auto list = info[0].As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      LayerWrap& wrap = LayerWrap::of(list.Get(i).As<Napi::Object>().Get("layer"));
      wrap.require_idle(info.Env(), call);
      layers.push_back(wrap.layer());
      wraps.push_back(&wrap);
      costs.push_back(wrap.layer()->estimated_cost());
    }
  }
  /// Tells the engine what the layers hold.
  void tell_memory() const {
    for (LayerWrap* const wrap : wraps) wrap->tell_memory();
  }
};

/// An item of the list that a call was given first.
inline Napi::Object item_of(const Napi::CallbackInfo& info, std::size_t index) {
  return info[0].As<Napi::Array>().Get(static_cast<std::uint32_t>(index)).As<Napi::Object>();
}

/// A call over all layers: their pending calls are counted, and the list is pinned with the arrays that are the
/// package's own.
template <typename Outcome>
Napi::Value queue_all(const Napi::CallbackInfo& info, Call<Outcome> call, const std::shared_ptr<Layers>& layers,
                      std::shared_ptr<CallMemory> memory, const Napi::Value& token) {
  call.pins = {info[0], info[1]};
  call.started = [layers] {
    for (LayerWrap* const wrap : layers->wraps) wrap->start();
  };
  call.settled = [layers] {
    for (LayerWrap* const wrap : layers->wraps) wrap->settle();
  };
  return queue(info.Env(), std::move(call), std::move(memory), token);
}

}  // namespace cgfac::node
