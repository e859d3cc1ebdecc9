#pragma once

#include <napi.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "core/solver/conjugate_gradient.h"
#include "core/threads/strand.h"
#include "node/async/call_memory.h"

namespace cgfac::node {

/// The cancel flag of one call, as JavaScript holds it: `new CancelToken()`, `.cancel()`.
class CancelToken : public Napi::ObjectWrap<CancelToken> {
 public:
  /// The class as JavaScript has it.
  static Napi::Function define(Napi::Env env);
  explicit CancelToken(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CancelToken>(info) {}
  [[nodiscard]] const std::shared_ptr<CancelFlag>& flag() const { return flag_; }

 private:
  void cancel(const Napi::CallbackInfo& info);
  std::shared_ptr<CancelFlag> flag_ = std::make_shared<CancelFlag>(false);
};

/// One asynchronous call: parse → own → queue → settle.
struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  std::function<void(const CancelFlag&)> work;   ///< on a pool thread; no Node-API in it
  std::function<Napi::Value(Napi::Env)> result;  ///< on the JavaScript thread, once the work is done
  std::function<void()> settled;                 ///< on the JavaScript thread, whatever came of it
  std::vector<Napi::ObjectReference> pins;       ///< objects of the package's own that the work uses
  std::shared_ptr<CallMemory> memory;            ///< what the work reads and writes of the caller's
  std::shared_ptr<CancelFlag> cancel = std::make_shared<CancelFlag>(false);
  std::exception_ptr error;
  Napi::Promise::Deferred deferred;

  /// Keeps an object alive until the job has settled.
  void pin(const Napi::Value& value);
};

/// The jobs of one environment (the main thread's, or a worker_thread's), which they never outlive: when it ends, or
/// the process exits, they are cancelled and waited for, because they use its objects, and OpenBLAS frees its buffers
/// at exit.
class JobQueue : public std::enable_shared_from_this<JobQueue> {
 public:
  /// The queue of an environment, which ends with it.
  static std::shared_ptr<JobQueue> create(Napi::Env env);

  /// Queues the work on the pool, or behind the strand's earlier tasks where there is one. Where there is no memory for
  /// that it throws, and the job is gone.
  Napi::Promise submit(Napi::Env env, std::unique_ptr<Job> job, Strand* strand);

 private:
  static void settle_on_javascript_thread(napi_env env, napi_value callback, void* context, void* data);
  /// The cleanup hook of an environment.
  static void end_with_environment(void* queue);
  /// process.exit() and an uncaught error run no cleanup hooks in the main thread, only exit handlers.
  static void end_with_process();
  void cancel_and_wait(bool exiting);
  /// What a pool thread does: the work, and the way back to the JavaScript thread.
  Task task_of(Job& job);

  napi_threadsafe_function settle_ = nullptr;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::unordered_set<Job*> running_;  // queued or at work on a pool thread
  bool exiting_ = false;              // nothing will be settled any more
  std::size_t pending_ = 0;           // not settled yet; JavaScript thread only
};

}  // namespace cgfac::node
