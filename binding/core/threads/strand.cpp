#include "core/threads/strand.h"

#include <new>
#include <utility>

namespace cgfac {

void Strand::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (std::exchange(running_, true)) return;
  }
  try {
    pool_.submit([self = shared_from_this()] { self->run_next(); });
  } catch (...) {  // as if it had not been submitted
    const std::lock_guard lock(mutex_);
    tasks_.pop_front();
    running_ = false;
    throw;
  }
}

void Strand::run_next() {
  for (;;) {
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
    if (stands_in_line()) return;
  }
}

// Behind the tasks of others; not where there is no memory for that, and the next task follows at once.
bool Strand::stands_in_line() {
  try {
    pool_.submit([self = shared_from_this()] { self->run_next(); });
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace cgfac
