#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>

#include "mpi/ranks.h"

namespace cgfac::mpi {

/// A JavaScript Error with the code of a C++ exception; the facade makes a CgfacError of it.
[[nodiscard]] Napi::Error translate(Napi::Env env, const std::exception_ptr& exception);

/// One call, which owns all memory that it works on: parse → own → queue → settle.
struct Job {
  std::function<void(Ranks&)> work;              ///< on the thread that calls MPI
  std::function<Napi::Value(Napi::Env)> result;  ///< on the JavaScript thread, once the work is done
  std::exception_ptr error;
  std::optional<Napi::Promise::Deferred> deferred;
};

/// Settles the promises of one environment. While one is pending, it keeps the process alive.
class Settler {
 public:
  explicit Settler(Napi::Env env);
  /// A promise, which `hand_over` settles.
  Napi::Promise promise(Napi::Env env, Job& job);
  /// Called on any thread, once the work is done.
  void hand_over(std::shared_ptr<Job> job);

 private:
  static void settle(napi_env env, napi_value callback, void* settler, void* data);
  napi_threadsafe_function function_ = nullptr;
  std::size_t pending_ = 0;  // JavaScript thread only
};

/// Has the work done by the thread that calls MPI: a promise.
Napi::Value queue(Napi::Env env, const std::shared_ptr<Job>& job, Settler& settler);

/// Has the work done by the thread that calls MPI, and waits for it. Comes back early where its worker_thread is
/// terminated, which nobody sees.
Napi::Value wait(Napi::Env env, const std::shared_ptr<Job>& job);

}  // namespace cgfac::mpi
