#include "mpi/job.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "mpi/failure.h"
#include "mpi/mpi_thread.h"

namespace cgfac::mpi {
namespace {

/// How often a waiting thread asks whether its environment was terminated.
constexpr std::chrono::milliseconds look_up{10};

const char* code_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::library:
      return "ERR_CGFAC_MPI";
    case FailureKind::communication:
      return "ERR_CGFAC_COMMUNICATION";
    case FailureKind::value:
      return "ERR_CGFAC_INVALID_ARG_VALUE";
  }
  return "ERR_CGFAC_INTERNAL";
}

Napi::Error error_with(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

// Every question to a terminated environment is refused.
bool was_terminated(napi_env env) {
  const Napi::HandleScope scope(env);
  bool there = false;
  const Napi::String name = Napi::String::New(env, "cgfac");
  return napi_has_own_property(env, Napi::Env(env).Global(), name, &there) != napi_ok;
}

/// What a waiting thread and the one that works for it share.
struct Meeting {
  std::mutex mutex;
  std::condition_variable done;
  bool is_done = false;
};

}  // namespace

Napi::Error translate(Napi::Env env, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Failure& failure) {
    return error_with(env, code_of(failure.kind()), failure.what());
  } catch (const std::bad_alloc&) {
    return error_with(env, "ERR_CGFAC_OUT_OF_MEMORY",
                      "Expected memory for a collective but received none from the system");
  } catch (const std::exception& error) {
    return error_with(env, "ERR_CGFAC_INTERNAL", error.what());
  } catch (...) {
    return error_with(env, "ERR_CGFAC_INTERNAL", "an exception of unknown type");
  }
}

Settler::Settler(Napi::Env env) {
  const Napi::String name = Napi::String::New(env, "cgfac/mpi");
  NAPI_THROW_IF_FAILED_VOID(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                                                 this, settle, &function_));
  NAPI_THROW_IF_FAILED_VOID(env, napi_unref_threadsafe_function(env, function_));
}

Napi::Promise Settler::promise(Napi::Env env, Job& job) {
  job.deferred = Napi::Promise::Deferred::New(env);
  if (pending_++ == 0) napi_ref_threadsafe_function(env, function_);
  return job.deferred->Promise();
}

void Settler::hand_over(std::shared_ptr<Job> job) {
  auto handed = std::make_unique<std::shared_ptr<Job>>(std::move(job));
  if (napi_call_threadsafe_function(function_, handed.get(), napi_tsfn_nonblocking) == napi_ok) {
    handed.release();  // NOLINT(bugprone-unused-return-value): settle takes it back
  }
}

void Settler::settle(napi_env raw_env, napi_value /*callback*/, void* settler, void* data) {
  const std::unique_ptr<std::shared_ptr<Job>> handed(static_cast<std::shared_ptr<Job>*>(data));
  if (raw_env == nullptr) return;  // the environment ended first
  const Napi::Env env(raw_env);
  const Napi::HandleScope scope(env);
  auto& self = *static_cast<Settler*>(settler);
  if (--self.pending_ == 0) napi_unref_threadsafe_function(env, self.function_);
  const Job& job = **handed;
  if (!job.deferred) return;  // never: `promise` was called before this could be
  try {
    try {
      if (job.error) std::rethrow_exception(job.error);
      job.deferred->Resolve(job.result(env));
    } catch (const Napi::Error& error) {
      job.deferred->Reject(error.Value());
    } catch (...) {
      job.deferred->Reject(translate(env, std::current_exception()).Value());
    }
  } catch (const Napi::Error& error) {
    // A worker that is being terminated runs no more JavaScript: every call of Node-API fails, this one quietly.
    error.ThrowAsJavaScriptException();
  }
}

Napi::Value queue(Napi::Env env, const std::shared_ptr<Job>& job, Settler& settler) {
  MpiThread::of_process().submit({.work = job->work, .settle = [job, &settler](const std::exception_ptr& error) {
                                    job->error = error;
                                    settler.hand_over(job);
                                  }});
  // Only this thread settles it, later.
  return settler.promise(env, *job);
}

Napi::Value wait(Napi::Env env, const std::shared_ptr<Job>& job) {
  const auto meeting = std::make_shared<Meeting>();
  MpiThread::of_process().submit({.work = job->work, .settle = [job, meeting](const std::exception_ptr& error) {
                                    const std::lock_guard lock(meeting->mutex);
                                    job->error = error;
                                    meeting->is_done = true;
                                    meeting->done.notify_all();
                                  }});
  std::unique_lock lock(meeting->mutex);
  while (!meeting->done.wait_for(lock, look_up, [&] { return meeting->is_done; })) {
    if (was_terminated(env)) return {};
  }
  if (job->error) throw translate(env, job->error);
  return job->result(env);
}

}  // namespace cgfac::mpi
