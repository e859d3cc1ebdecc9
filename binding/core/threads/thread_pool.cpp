#include "core/threads/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "core/threads/allowance.h"
#include "core/threads/cancel.h"

namespace cgfac {
namespace {

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// One call of parallel_for, on the stack of its caller. Threads join and leave under the lock, and take indices without
// it.
struct ThreadPool::Group {
  const IndexedBody* body;
  std::size_t count;
  std::size_t active = 1;  // threads at work on it, the caller included
  std::size_t places;      // threads that may
  const CancelFlag* cancel;
  Group* later = nullptr;
  std::exception_ptr error;          // the first, under the lock
  std::atomic<std::size_t> next{0};  // the first index not taken yet
  std::atomic<bool> done{false};
};

ThreadPool::ThreadPool(std::size_t threads) {
  resize(threads);
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    limit_ = threads_.size();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::resize(std::size_t threads) {
  const std::lock_guard lock(mutex_);
  wanted_ = threads;
  start_wanted();
  arrivals_.fetch_add(1, std::memory_order_release);
  wake_.notify_all();
}

// A limit of processes, threads or memory refuses some; those that there are do the work.
void ThreadPool::start_wanted() {
  while (threads_.size() < wanted_ && start_one()) {
  }
  limit_ = std::min(wanted_, threads_.size());
}

bool ThreadPool::start_one() {
  try {
    threads_.emplace_back([this, index = threads_.size()] { run(index); });
    return true;
  } catch (const std::exception&) {  // std::system_error, std::bad_alloc
    return false;
  }
}

std::size_t ThreadPool::size() {
  const std::lock_guard lock(mutex_);
  return std::max<std::size_t>(limit_, 1);
}

std::size_t ThreadPool::refused() {
  const std::lock_guard lock(mutex_);
  return wanted_ - limit_;
}

void ThreadPool::submit(Task task) {
  std::unique_lock lock(mutex_);
  if (threads_.empty()) start_wanted();
  if (threads_.empty()) {
    lock.unlock();
    task();
    return;
  }
  tasks_.push_back(std::move(task));
  arrivals_.fetch_add(1, std::memory_order_release);
  lock.unlock();
  // all: one alone might be a thread beyond the limit
  wake_.notify_all();
}

void ThreadPool::linger(std::uint64_t seen) const {
  constexpr std::chrono::microseconds moment(50);
  const auto end = std::chrono::steady_clock::now() + moment;
  while (arrivals_.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < end) {
    pause();
  }
}

ThreadPool::Group* ThreadPool::open_group() {
  Group* group = groups_;
  while (group != nullptr &&
         (group->active == group->places || group->next.load(std::memory_order_relaxed) >= group->count)) {
    group = group->later;
  }
  return group;
}

void ThreadPool::work_on(Group& group) {
  for (;;) {
    const std::size_t index = group.next.fetch_add(1, std::memory_order_relaxed);
    if (index >= group.count) return;
    try {
      throw_if_cancelled();
      (*group.body)(index);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!group.error) group.error = std::current_exception();
    }
  }
}

void ThreadPool::leave(Group& group) {
  if (--group.active > 0) return;
  group.done.store(true, std::memory_order_release);
  group.done.notify_one();
}

void ThreadPool::parallel_for(std::size_t count, const IndexedBody& body) {
  if (count == 0) return;
  Group group{.body = &body, .count = count, .places = 0, .cancel = current_cancel_flag(), .error = nullptr};
  bool sleepers = false;
  {
    const std::lock_guard lock(mutex_);
    group.places = std::max<std::size_t>(limit_, 1);
    sleepers = sleeping_ > 0;
    if (count > 1 && limit_ > 1) {
      Group** end = &groups_;
      while (*end != nullptr) end = &(*end)->later;
      *end = &group;
      arrivals_.fetch_add(1, std::memory_order_release);
    }
  }
  if (count == 1 || group.places == 1) {
    for (std::size_t index = 0; index < count; ++index) {
      throw_if_cancelled();
      body(index);
    }
    return;
  }
  if (sleepers) wake_.notify_all();
  work_on(group);
  {
    const std::lock_guard lock(mutex_);
    Group** place = &groups_;
    while (*place != &group) place = &(*place)->later;
    *place = group.later;
    leave(group);
  }
  // Only pieces that are being worked on are waited for, so this ends.
  for (int spins = 0; spins < 1000 && !group.done.load(std::memory_order_acquire); ++spins) pause();
  group.done.wait(false, std::memory_order_acquire);
  // `done` is set under the lock: whoever set it has let go of the group once the lock was free.
  {
    const std::lock_guard lock(mutex_);
  }
  if (group.error) std::rethrow_exception(group.error);
}

void ThreadPool::run(std::size_t index) {
  std::unique_lock lock(mutex_);
  bool lingered = true;
  for (;;) {
    if (index < limit_) {
      if (Group* const group = open_group()) {
        ++group->active;
        lock.unlock();
        {
          const CancelScope scope(group->cancel);
          work_on(*group);
        }
        lock.lock();
        leave(*group);
        lingered = false;
        continue;
      }
      if (!tasks_.empty()) {
        Task task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        task = nullptr;
        lock.lock();
        continue;
      }
    }
    if (stopping_) return;
    if (!std::exchange(lingered, true)) {
      const std::uint64_t seen = arrivals_.load(std::memory_order_acquire);
      lock.unlock();
      linger(seen);
      lock.lock();
      continue;
    }
    ++sleeping_;
    wake_.wait(lock);
    --sleeping_;
  }
}

ThreadPool& ThreadPool::shared() {
  static auto* const pool =
      new ThreadPool(default_threads());  // NOLINT(cppcoreguidelines-owning-memory): never destroyed
  return *pool;
}

std::size_t ThreadPool::default_threads() {
  const std::optional<std::size_t> threads = thread_setting().threads;
  return threads ? *threads : allowed_threads();
}

}  // namespace cgfac
