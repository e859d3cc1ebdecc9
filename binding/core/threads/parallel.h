#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

/// Pool threads: the package's own, beside BLAS threads (always one), libuv workers and worker_threads. This file's
/// source and the pair's header are the only ones that know of them.
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

  void submit(Task task);

  /// Runs body(0), …, body(count − 1) on the calling thread and on pool threads that have nothing else to do, at most
  /// size() threads in all; returns when all have ended. Indices are taken in ascending order, so the largest piece
  /// goes first. May be called from a task and from a body. The first exception of a body is thrown here, after the
  /// others ended. Results must not depend on which thread ran which index. Allocates nothing.
  void parallel_for(std::size_t count, const IndexedBody& body);

  /// The number of threads that take tasks. Threads beyond a smaller number finish what they run, then rest.
  void resize(std::size_t threads);
  [[nodiscard]] std::size_t size();

  /// The pool of the process, started at its first use with `default_threads()` threads and never stopped: a task that
  /// runs while the process exits must find it alive.
  static ThreadPool& shared();
  /// CGFAC_NUM_THREADS where it is a positive number up to `max_threads`, else the number of cores.
  static std::size_t default_threads();
  static constexpr std::size_t max_threads = 1024;

 private:
  struct Group;

  void run(std::size_t index);
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
  std::size_t limit_ = 0;    // threads with an index below it take work
  std::size_t sleeping_ = 0;
  bool stopping_ = false;
  std::atomic<std::uint64_t> arrivals_{0};  // counts what was submitted, for `linger`
  std::vector<std::thread> threads_;
};

/// ThreadPool::shared().parallel_for; a single index runs without touching the pool.
void parallel_for(std::size_t count, const IndexedBody& body);

/// The same for pieces of about `flops` in all: where that is less than waking a thread costs, the calling thread runs
/// them alone.
void parallel_for(std::size_t count, double flops, const IndexedBody& body);

/// Flops of a product of i × j and j × k.
[[nodiscard]] inline double product_flops(std::size_t i, std::size_t j, std::size_t k) {
  return 2 * static_cast<double>(i) * static_cast<double>(j) * static_cast<double>(k);
}

/// How a range is cut for `parallel_for`: by its size and its work alone, never by the number of threads, so that
/// results have the same bits whatever runs them.
class Split {
 public:
  /// Blocks of about 256, a multiple of four of them and at most `most_columns`; two for a range of 128 to 511; one
  /// where the work, in flops, is not worth two threads.
  static Split columns(std::size_t size, double flops);
  /// Blocks of rows of an element-wise pass over rows × cols numbers: one below 8192 numbers, at most
  /// `most_row_blocks`.
  static Split rows(std::size_t rows, std::size_t cols);

  static constexpr std::size_t most_columns = 16;
  static constexpr std::size_t most_row_blocks = 8;

  [[nodiscard]] std::size_t blocks() const { return blocks_; }
  [[nodiscard]] std::size_t first(std::size_t block) const { return size_ * block / blocks_; }
  [[nodiscard]] std::size_t count(std::size_t block) const { return first(block + 1) - first(block); }

 private:
  Split(std::size_t size, std::size_t blocks) : size_(size), blocks_(blocks) {}
  std::size_t size_;
  std::size_t blocks_;
};

/// Scratch that several tasks use in turn: a task takes one, or makes the first, and gives it back when it is done.
template <typename Workspace>
class WorkspacePool {
 public:
  [[nodiscard]] std::unique_ptr<Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  void give(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

/// Tasks of one object: run one after another in the order of submission, on whichever pool thread is free. A waiting
/// task occupies no thread.
class Strand : public std::enable_shared_from_this<Strand> {
 public:
  explicit Strand(ThreadPool& pool) : pool_(pool) {}
  void submit(Task task);
  /// Whether no task is running or waiting.
  [[nodiscard]] bool idle();

 private:
  void run_next();

  ThreadPool& pool_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  bool running_ = false;
};

}  // namespace cgfac
