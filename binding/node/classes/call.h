#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "node/addon.h"
#include "node/async/job.h"

namespace cgfac::node {

/// One call of a method and of its …Sync twin: what is parsed of the arguments, the work, and what is told of it. Both
/// twins make one, and run it: here and now, or on the pool.
template <typename Outcome>
struct Call {
  std::function<Outcome(const CancelFlag*)> work;              ///< knows nothing of JavaScript but memory
  std::function<Napi::Value(Napi::Env, const Outcome&)> tell;  ///< on the JavaScript thread, once it is done
  std::vector<Napi::Value> pins{};                             ///< objects of the package's own that the work uses
  std::function<void()> started{};                             ///< of an asynchronous call, on the JavaScript thread
  std::function<void()> settled{};                             ///< the same, whatever came of it
  std::shared_ptr<Strand> strand{};                            ///< calls of one strand run one after another
};

/// Whether an environment was terminated, and runs no more JavaScript: every question to it is then refused.
inline bool has_ended(napi_env env) {
  const Napi::HandleScope scope(env);
  bool there = false;
  const Napi::String name = Napi::String::New(env, "cgfac");
  return napi_has_own_property(env, Napi::Env(env).Global(), name, &there) != napi_ok;
}

/// Runs a call on the calling thread and the pool. It ends early where its worker_thread is terminated, which nobody
/// sees: no JavaScript of it runs any more.
template <typename Outcome>
Napi::Value run_now(Napi::Env env, const Call<Outcome>& call) {
  CancelFlag flag(false);
  std::optional<CancelScope> scope(std::in_place, flag, [raw = static_cast<napi_env>(env)] { return has_ended(raw); });
  const Outcome outcome = call.work(&flag);
  scope.reset();
  return call.tell(env, outcome);
}

/// Queues a call on the pool: a promise. `memory`: what it was parsed with. `token`: what cancels it, or undefined.
template <typename Outcome>
Napi::Value queue(Napi::Env env, Call<Outcome> call, std::shared_ptr<CallMemory> memory, const Napi::Value& token) {
  auto job = std::make_unique<Job>(env);
  job->memory = std::move(memory);
  const auto outcome = std::make_shared<Outcome>();
  job->work = [work = std::move(call.work), outcome](const CancelFlag& cancel) {
    const CancelScope scope(&cancel);
    *outcome = work(&cancel);
  };
  job->result = [tell = std::move(call.tell), outcome](Napi::Env settled) { return tell(settled, *outcome); };
  job->settled = std::move(call.settled);
  for (const Napi::Value& value : call.pins) job->pin(value);
  if (token.IsObject()) job->cancel = CancelToken::Unwrap(token.As<Napi::Object>())->flag();
  if (call.started) call.started();
  return Addon::of(env).jobs().submit(env, std::move(job), call.strand.get());
}

/// The outcome of a call that gives nothing.
struct Nothing {};

}  // namespace cgfac::node
