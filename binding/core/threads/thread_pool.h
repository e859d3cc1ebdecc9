#pragma once

#include <atomic>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

/// Pool threads: the package's own, beside BLAS threads (always one), libuv workers and worker_threads. This room alone
/// knows of them.
namespace cgfac {

/// A task must not throw: what it has to say goes into what it captured.
using Task = std::function<void()>;

/// Borrows something callable with an index: a pointer to it and a pointer to its call. No allocation.
class IndexedBody {
 public:
  template <typename F>
    requires(!std::same_as<std::remove_cvref_t<F>, IndexedBody>)
  IndexedBody(F&& body)  // NOLINT(google-explicit-constructor,cppcoreguidelines-missing-std-forward): borrowed
      : object_(&body), call_([](const void* object, std::size_t index) {
          (*static_cast<const std::remove_reference_t<F>*>(object))(index);
        }) {}
  void operator()(std::size_t index) const { call_(object_, index); }

 private:
  const void* object_;
  void (*call_)(const void*, std::size_t);
};

/// Threads that take tasks in the order of submission, and help those that split their work by `parallel_for`.
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads);
  /// Waits for every submitted task.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Runs the task on a pool thread, behind those that wait; on the calling thread where the system refuses every
  /// thread.
  void submit(Task task);

  /// Runs body(0), …, body(count − 1) on the calling thread and on pool threads that have nothing else to do, at most
  /// size() threads in all; returns when all have ended. Indices are taken in ascending order, so the largest piece
  /// goes first. May be called from a task and from a body. The first exception of a body is thrown here, after the
  /// others ended; Cancelled, once the flag of the calling thread is set and the pieces under way have ended. Results
  /// must not depend on which thread ran which index. Allocates nothing.
  void parallel_for(std::size_t count, const IndexedBody& body);

  /// The number of threads that take tasks, or as many of them as the system starts. Threads beyond a smaller number
  /// finish what they run, then rest.
  void resize(std::size_t threads);
  /// Threads that take tasks; 1 where there is none, and the calling thread does everything.
  [[nodiscard]] std::size_t size();
  /// Threads that were wanted and that the system did not start.
  [[nodiscard]] std::size_t refused();

  /// The pool of the process, started at its first use with `default_threads()` threads and never stopped: a task that
  /// runs while the process exits must find it alive.
  static ThreadPool& shared();
  /// CGFAC_NUM_THREADS where it is a positive number up to `max_threads`, else `allowed_threads()`.
  static std::size_t default_threads();
  static constexpr std::size_t max_threads = 1024;

 private:
  struct Group;

  void run(std::size_t index);
  // Starts threads up to `wanted_`, under the lock; fewer where the system refuses one.
  void start_wanted();
  bool start_one();
  // The oldest group with an index to give away and a place for one more thread.
  Group* open_group();
  // Takes indices of the group until none is left.
  void work_on(Group& group);
  // One thread fewer, under the lock; the last one lets the caller go on, and the group is gone.
  static void leave(Group& group);
  // Waits a moment for new work without sleeping: a solve splits its work many times in a row.
  void linger(std::uint64_t seen) const;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  Group* groups_ = nullptr;  // of calls under way, oldest first
  std::size_t wanted_ = 0;   // threads that were asked for
  std::size_t limit_ = 0;    // threads with an index below it take work
  std::size_t sleeping_ = 0;
  bool stopping_ = false;
  std::atomic<std::uint64_t> arrivals_{0};  // counts what was submitted, for `linger`
  std::vector<std::thread> threads_;
};

}  // namespace cgfac
