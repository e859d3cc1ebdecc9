#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace cgfac {

/// Scratch that several tasks use in turn: a task takes one, or makes the first, and gives it back when it is done.
template <typename Workspace>
class WorkspacePool {
 public:
  /// A workspace that nobody uses, or a new one.
  [[nodiscard]] std::unique_ptr<Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  /// Hands a workspace back.
  void give(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(workspace));
  }
  /// What those hold that nobody uses, in bytes.
  [[nodiscard]] std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& workspace : free_) sum += workspace->bytes();
    return sum;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace cgfac
