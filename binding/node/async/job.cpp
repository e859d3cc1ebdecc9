#include "node/async/job.h"

#include <cstdlib>
#include <new>
#include <optional>
#include <utility>

#include "core/threads/thread_pool.h"
#include "node/errors.h"

namespace cgfac::node {

Napi::Function CancelToken::define(Napi::Env env) {
  return DefineClass(env, "CancelToken", {InstanceMethod<&CancelToken::cancel>("cancel")});
}

void CancelToken::cancel(const Napi::CallbackInfo& /*info*/) {
  flag_->store(true, std::memory_order_relaxed);
}

void Job::pin(const Napi::Value& value) {
  if (value.IsObject()) pins.push_back(Napi::Persistent(value.As<Napi::Object>()));
}

namespace {

// What was done is written even where the call was cancelled meanwhile: a layer's warm start, and calls behind it, go
// on from there.
Napi::Value written(Napi::Env env, Job& job) {
  job.memory->commit(env);
  return job.result(env);
}

void settle(Napi::Env env, Job& job) {
  std::optional<Napi::Value> result;
  try {
    if (job.error) std::rethrow_exception(job.error);
    if (job.memory->written()) result = written(env, job);
  } catch (const Napi::Error& error) {
    job.memory->take_back();
    job.deferred.Reject(error.Value());
    return;
  } catch (...) {
    job.memory->take_back();
    if (!job.cancel->load(std::memory_order_relaxed)) {
      job.deferred.Reject(translate(env, std::current_exception()).Value());
      return;
    }
  }
  if (result && !job.cancel->load(std::memory_order_relaxed)) {
    job.deferred.Resolve(*result);
  } else {
    job.deferred.Reject(coded_error(env, "ABORTED", "cancelled").Value());
  }
}

// The queues whose environments are alive. Never destroyed: the exit handler reads it.
struct LiveQueues {
  std::mutex mutex;
  std::unordered_set<JobQueue*> queues;
};
LiveQueues& live_queues() {
  static auto* const live = new LiveQueues();  // NOLINT(cppcoreguidelines-owning-memory)
  return *live;
}

}  // namespace

std::shared_ptr<JobQueue> JobQueue::create(Napi::Env env) {
  auto queue = std::make_shared<JobQueue>();
  const Napi::String name = Napi::String::New(env, "cgfac");
  NAPI_THROW_IF_FAILED(env,
                       napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, queue.get(),
                                                       settle_on_javascript_thread, &queue->settle_),
                       queue);
  // idle, it does not keep the process alive
  NAPI_THROW_IF_FAILED(env, napi_unref_threadsafe_function(env, queue->settle_), queue);
  // registered after the function above, so that it runs before that is torn down
  NAPI_THROW_IF_FAILED(env, napi_add_env_cleanup_hook(env, end_with_environment, new std::shared_ptr<JobQueue>(queue)),
                       queue);
  LiveQueues& live = live_queues();
  const std::lock_guard lock(live.mutex);
  // Exit handlers run before destructors, which would end what products under way need.
  static const bool registered = std::atexit(end_with_process) == 0;
  if (!registered) throw std::bad_alloc();
  live.queues.insert(queue.get());
  return queue;
}

Napi::Promise JobQueue::submit(Napi::Env env, std::unique_ptr<Job> job, Strand* strand) {
  const Napi::Promise promise = job->deferred.Promise();
  if (pending_++ == 0) napi_ref_threadsafe_function(env, settle_);
  try {
    Task task = task_of(*job);
    if (strand != nullptr) {
      strand->submit(std::move(task));
    } else {
      ThreadPool::shared().submit(std::move(task));
    }
  } catch (...) {  // no memory to stand in line with: there was no call
    {
      const std::lock_guard lock(mutex_);
      running_.erase(job.get());
    }
    if (--pending_ == 0) napi_unref_threadsafe_function(env, settle_);
    if (job->settled) job->settled();
    throw;
  }
  job.release();  // NOLINT(bugprone-unused-return-value): settle_on_javascript_thread takes it back
  return promise;
}

Task JobQueue::task_of(Job& job) {
  const std::lock_guard outer(mutex_);
  running_.insert(&job);
  return [self = shared_from_this(), raw = &job] {
    try {
      if (!raw->cancel->load(std::memory_order_relaxed)) {
        raw->memory->begin();
        raw->work(*raw->cancel);
        raw->memory->end(!raw->cancel->load(std::memory_order_relaxed));
      }
    } catch (...) {
      raw->error = std::current_exception();
    }
    // Under the lock: `cancel_and_wait` must not find the job gone while it is still being handed over.
    const std::lock_guard lock(self->mutex_);
    if (!self->exiting_) napi_call_threadsafe_function(self->settle_, raw, napi_tsfn_nonblocking);
    self->running_.erase(raw);
    self->idle_.notify_all();
  };
}

void JobQueue::settle_on_javascript_thread(napi_env raw_env, napi_value /*callback*/, void* context, void* data) {
  const std::unique_ptr<Job> job(static_cast<Job*>(data));
  if (raw_env == nullptr) {  // the environment ended first: nothing can be settled, and it frees the references itself
    for (Napi::ObjectReference& pin : job->pins) pin.SuppressDestruct();
    job->memory->abandon();
    return;
  }
  auto* const queue = static_cast<JobQueue*>(context);
  const Napi::Env env(raw_env);
  const Napi::HandleScope scope(env);
  if (--queue->pending_ == 0) napi_unref_threadsafe_function(env, queue->settle_);
  if (job->settled) job->settled();
  try {
    settle(env, *job);
  } catch (const Napi::Error& error) {
    // A worker that is being terminated runs no more JavaScript: every Node-API call fails, this one quietly.
    error.ThrowAsJavaScriptException();
  }
  job->memory->release();
}

void JobQueue::end_with_environment(void* queue) {
  const std::unique_ptr<std::shared_ptr<JobQueue>> owner(static_cast<std::shared_ptr<JobQueue>*>(queue));
  {
    LiveQueues& live = live_queues();
    const std::lock_guard lock(live.mutex);
    live.queues.erase(owner->get());
  }
  (*owner)->cancel_and_wait(false);
}

void JobQueue::end_with_process() {
  LiveQueues& live = live_queues();
  const std::lock_guard lock(live.mutex);
  for (JobQueue* const queue : live.queues) queue->cancel_and_wait(true);
}

void JobQueue::cancel_and_wait(bool exiting) {
  std::unique_lock lock(mutex_);
  exiting_ = exiting;
  for (Job* const job : running_) job->cancel->store(true, std::memory_order_relaxed);
  idle_.wait(lock, [this] { return running_.empty(); });
}

}  // namespace cgfac::node
