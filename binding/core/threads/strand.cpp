#include "core/threads/strand.h"

#include <utility>

namespace cgfac {

void Strand::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    if (std::exchange(running_, true)) return;
  }
  pool_.submit([self = shared_from_this()] { self->run_next(); });
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
