#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "core/threads/thread_pool.h"

namespace cgfac {

/// Tasks of one object: run one after another in the order of submission, on whichever pool thread is free. A waiting
/// task occupies no thread. One thread submits.
class Strand : public std::enable_shared_from_this<Strand> {
 public:
  explicit Strand(ThreadPool& pool) : pool_(pool) {}
  /// Runs the task once those before it have ended. Where there is no memory for it, it throws, and nothing has
  /// changed.
  void submit(Task task);

 private:
  void run_next();
  bool stands_in_line();

  ThreadPool& pool_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  bool running_ = false;
};

}  // namespace cgfac
