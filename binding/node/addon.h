#pragma once

#include <napi.h>

#include <memory>

#include "node/async/job.h"
#include "node/native_memory.h"

namespace cgfac::node {

/// The state of one environment; the addon has no other.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);
  static Addon& of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }
  [[nodiscard]] JobQueue& jobs() { return *jobs_; }
  /// The memory of an asynchronous call.
  [[nodiscard]] std::shared_ptr<CallMemory> call_memory() { return std::make_shared<CallMemory>(rooms_); }
  [[nodiscard]] PendingUpdates& updates() { return updates_; }
  [[nodiscard]] const std::shared_ptr<NativeMemory>& memory() const { return memory_; }
  [[nodiscard]] Napi::FunctionReference& spectrum_class() { return spectrum_class_; }

 private:
  Napi::Value info(const Napi::CallbackInfo& info);
  /// (threads): the number of pool threads of the process
  void set_threads(const Napi::CallbackInfo& info);
  /// () → a CGFAC_NUM_THREADS that is no number of threads, the first time in a process; else undefined
  Napi::Value refused_threads(const Napi::CallbackInfo& info);
  std::shared_ptr<JobQueue> jobs_;
  PendingUpdates updates_;
  std::shared_ptr<Rooms> rooms_;
  std::shared_ptr<NativeMemory> memory_ = std::make_shared<NativeMemory>();
  Napi::FunctionReference spectrum_class_;
};

}  // namespace cgfac::node
