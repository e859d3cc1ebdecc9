#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

/// Pool threads: the package's own, beside BLAS threads (always one), libuv workers and worker_threads. This file's
/// source and the pair's header are the only ones that know of them.
namespace cgfac {

/// A task must not throw: what it has to say goes into what it captured.
using Task = std::function<void()>;

/// A fixed number of threads that take tasks in the order of submission.
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads);
  /// Waits for every submitted task.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void submit(Task task);
  [[nodiscard]] std::size_t size() const { return threads_.size(); }

  /// The pool of the process, started at its first use with `default_threads()` threads and never stopped: a task that
  /// runs while the process exits must find it alive.
  static ThreadPool& shared();
  /// CGFAC_NUM_THREADS where it is a positive number, else the number of cores.
  static std::size_t default_threads();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
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
