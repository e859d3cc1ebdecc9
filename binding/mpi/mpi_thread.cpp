#include "mpi/mpi_thread.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "mpi/failure.h"
#include "mpi/mpi.h"
#include "mpi/termination.h"

namespace cgfac::mpi {
namespace {

/// A rest before the run is ended: MPICH's launcher, which ends every rank then, loses what it has not read by that
/// time of what they said.
constexpr std::chrono::milliseconds rest_before_abort{200};

/// How long the thread has to end the run: it looks every millisecond, unless MPI itself does not come back (from its
/// start, when other ranks do not come).
constexpr std::chrono::seconds last_wait{1};

// Exit handlers run after Node has told of an uncaught error, which the 'exit' event comes before; and in MPI_Abort.
void end_with_process() {
  MpiThread::of_process().leave();
}

}  // namespace

MpiThread& MpiThread::of_process() {
  static auto* const thread = new MpiThread();  // NOLINT(cppcoreguidelines-owning-memory): never destroyed
  return *thread;
}

bool MpiThread::connect(const void* owner, std::vector<std::string> names, std::chrono::milliseconds timeout,
                        std::function<void(const Connection&)> connected) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::idle) return false;
  static const bool registered = std::atexit(end_with_process) == 0;
  if (!registered) throw std::bad_alloc();
  try {
    std::thread thread([this, names = std::move(names), timeout, connected = std::move(connected)] {
      run(names, timeout, connected);
    });
    id_ = thread.get_id();
    owner_ = owner;
    thread.detach();
  } catch (const std::system_error&) {
    throw Failure(FailureKind::library, "the system refuses the thread that calls MPI");
  }
  state_ = State::starting;
  return true;
}

void MpiThread::fail(State state, const std::function<void(const Connection&)>& connected) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  connected({.error = std::current_exception()});
  changed_.notify_all();
}

void MpiThread::run(const std::vector<std::string>& names, std::chrono::milliseconds timeout,
                    const std::function<void(const Connection&)>& connected) {
  std::unique_ptr<Mpi> mpi;
  try {
    const Library library = Library::load(names);
    mpi = mpi_of(library);
    try {
      start(*mpi, library, connected);
    } catch (...) {  // it cannot be started twice
      fail(State::ended, connected);
      return;
    }
  } catch (...) {
    fail(State::idle, connected);
    return;
  }
  Ranks ranks(*mpi, timeout, leaving_);
  try {
    work(ranks);
  } catch (const Leaving&) {
    const int code = leaving_.load();
    std::this_thread::sleep_for(rest_before_abort);
    mpi->abort(code);
    ::_exit(code);
  }
}

void MpiThread::start(Mpi& mpi, const Library& library, const std::function<void(const Connection&)>& connected) {
  mpi.init();
  // the launcher of Open MPI names ranks, and ends those that are left by the same signal
  if (library.abi() != Abi::open_mpi) tell_of_termination(mpi.rank(), mpi.size());
  const std::lock_guard lock(mutex_);
  rank_ = mpi.rank();
  size_ = mpi.size();
  state_ = State::connected;
  connected({.error = nullptr,
             .rank = rank_,
             .size = size_,
             .path = library.path(),
             .version = library.version(),
             .abi = library.abi()});
}

void MpiThread::work(Ranks& ranks) {
  while (!ranks.ended()) {
    const Task task = next();
    std::exception_ptr error;
    try {
      task.work(ranks);
    } catch (const Leaving&) {
      throw;
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (ranks.ended()) {
      state_ = State::ended;
      forget_termination();
    }
    task.settle(error);
    changed_.notify_all();
  }
}

MpiThread::Task MpiThread::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !tasks_.empty() || leaving_.load() >= 0; });
  if (leaving_.load() >= 0) throw Leaving{};
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

void MpiThread::submit(Task task) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::connected)
    throw Failure(FailureKind::communication, "Expected a connection of this process but received none");
  tasks_.push_back(std::move(task));
  changed_.notify_all();
}

void MpiThread::leave(const void* owner) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (std::this_thread::get_id() == id_) {  // MPI_Abort has told everybody, and ends the process
    if (leaving_.load() >= 0) ::_exit(leaving_.load());
    return;
  }
  lock.lock();
  const auto gone = [this] { return state_ == State::idle || state_ == State::ended; };
  if (gone() || (owner != nullptr && owner != owner_)) return;
  if (leaving_.load() < 0) {
    const std::string who =
        rank_ < 0 ? "a rank that has no number yet" : "rank " + std::to_string(rank_) + " of " + std::to_string(size_);
    leaving_ = exit_code_.load();
    ::dprintf(STDERR_FILENO, "cgfac: %s (process %d) leaves without finalize(), which ends the run with exit code %d\n",
              who.c_str(), ::getpid(), leaving_.load());
    changed_.notify_all();
  }
  if (changed_.wait_for(lock, last_wait, gone)) return;
  ::_exit(leaving_.load());
}

}  // namespace cgfac::mpi
