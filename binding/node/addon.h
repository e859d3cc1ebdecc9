#pragma once

#include <napi.h>

#include <memory>

#include "node/job.h"

namespace cgfac::node {

/// The state of one environment; the addon has no other.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);
  static Addon& of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
  [[nodiscard]] JobQueue& jobs() { return *jobs_; }

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  std::shared_ptr<JobQueue> jobs_;
};

}  // namespace cgfac::node
