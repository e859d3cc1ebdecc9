#include "core/parallel.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace cgfac {

ThreadPool::ThreadPool(std::size_t threads) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::run() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

ThreadPool& ThreadPool::shared() {
  static auto* const pool =
      new ThreadPool(default_threads());  // NOLINT(cppcoreguidelines-owning-memory): never destroyed
  return *pool;
}

std::size_t ThreadPool::default_threads() {
  const char* const text =
      std::getenv("CGFAC_NUM_THREADS");  // NOLINT(concurrency-mt-unsafe): read before any thread starts
  if (text != nullptr) {
    const std::string_view view(text);
    std::size_t threads = 0;
    const auto [end, error] = std::from_chars(view.begin(), view.end(), threads);
    if (error == std::errc() && end == view.end() && threads > 0 && threads <= 1024) return threads;
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

void Strand::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (std::exchange(running_, true)) return;
  }
  pool_.submit([self = shared_from_this()] { self->run_next(); });
}

bool Strand::idle() {
  const std::lock_guard lock(mutex_);
  return !running_;
}

void Strand::run_next() {
  Task task;
  {
    const std::lock_guard lock(mutex_);
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
  task = nullptr;
  {
    const std::lock_guard lock(mutex_);
    running_ = !tasks_.empty();
    if (!running_) return;
  }
  pool_.submit([self = shared_from_this()] { self->run_next(); });
}

}  // namespace cgfac
