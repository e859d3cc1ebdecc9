#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mpi/library.h"
#include "mpi/ranks.h"

namespace cgfac::mpi {

/// The one thread of the process that calls MPI (MPI_THREAD_FUNNELED), from its start to its end. Tasks run there in
/// the order in which they are given.
///
/// There is one in a process, made at the first connection and never destroyed: MPI can be started once, and objects of
/// the process's end are gone before the thread is.
class MpiThread {
 public:
  /// Work on the thread, and what is told of its end: an error, or none. The latter is called under a lock.
  struct Task {
    std::function<void(Ranks&)> work;
    std::function<void(const std::exception_ptr&)> settle;
  };

  /// What is told of a connection that was made, or not.
  struct Connection {
    std::exception_ptr error;
    int rank = 0;
    int size = 0;
    std::string path{};
    std::string version{};
    Abi abi = Abi::mpich;
  };

  /// The thread of this process, or what will be it.
  static MpiThread& of_process();

  /// Loads one of the libraries, and starts MPI, for an environment, its `owner`. Gives false where a connection is
  /// there, was there, or is being made; `connected` is called on the new thread, before the first task.
  bool connect(const void* owner, std::vector<std::string> names, std::chrono::milliseconds timeout,
               std::function<void(const Connection&)> connected);

  /// Adds a task. The thread must be connected.
  void submit(Task task);

  /// The exit code of a process that leaves from now on.
  void set_exit_code(int code) { exit_code_ = code; }

  /// Ends the run, where it was connected and not finalized, with that exit code; else returns. Called on any thread
  /// when this process ends, or an environment, which has to be the owner for that. It comes back in no other case.
  void leave(const void* owner = nullptr);

 private:
  enum class State { idle, starting, connected, ended };

  void run(const std::vector<std::string>& names, std::chrono::milliseconds timeout,
           const std::function<void(const Connection&)>& connected);
  void start(Mpi& mpi, const Library& library, const std::function<void(const Connection&)>& connected);
  void work(Ranks& ranks);
  [[nodiscard]] Task next();
  void fail(State state, const std::function<void(const Connection&)>& connected);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  State state_ = State::idle;
  std::atomic<int> exit_code_{70};  // EX_SOFTWARE, where nobody told another
  std::atomic<int> leaving_{-1};    // the exit code, once this process is about to leave
  std::thread::id id_;
  const void* owner_ = nullptr;
  int rank_ = -1;
  int size_ = 0;
};

}  // namespace cgfac::mpi
