#pragma once

#include <napi.h>

#include <memory>

#include "core/solver/spectral.h"
#include "node/native_memory.h"

namespace cgfac::node {

/// The native half of `Spectrum`: the spectrum of a solve, for other dampings.
class SpectrumWrap : public Napi::ObjectWrap<SpectrumWrap>, private MemoryHolder {
 public:
  /// The class as JavaScript has it.
  static Napi::Function define(Napi::Env env);
  /// Only `create` makes one that holds a spectrum.
  explicit SpectrumWrap(const Napi::CallbackInfo& info);
  static Napi::Object create(Napi::Env env, std::shared_ptr<const Spectrum> spectrum);

 private:
  /// (damping) → { vx, xFx, xx, lambdaMax, effectiveRank }
  Napi::Value at(const Napi::CallbackInfo& info);
  [[nodiscard]] bool collected() const override { return Value().IsEmpty(); }
  void let_go() override;

  std::shared_ptr<const Spectrum> spectrum_;
};

}  // namespace cgfac::node
