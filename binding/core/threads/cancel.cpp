#include "core/threads/cancel.h"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <utility>

namespace cgfac {
namespace {

// Of a clock that is read in some nanoseconds, and moves every few milliseconds, where the system has one.
std::int64_t coarse_milliseconds() {
#if defined(CLOCK_MONOTONIC_COARSE)
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (std::int64_t{now.tv_sec} * 1000) + (now.tv_nsec / 1'000'000);
#else
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
#endif
}

constexpr std::int64_t between_questions = 10;

}  // namespace

thread_local const CancelScope* CancelScope::current = nullptr;

const CancelFlag* current_cancel_flag() {
  return CancelScope::current == nullptr ? nullptr : CancelScope::current->flag_;
}

bool cancelled() {
  const CancelScope* const scope = CancelScope::current;
  if (scope == nullptr || scope->flag_ == nullptr) return false;
  if (scope->own_flag_ != nullptr) {
    const std::int64_t now = coarse_milliseconds();
    if (now >= scope->next_) {
      scope->next_ = now + between_questions;
      if (scope->ended_()) scope->own_flag_->store(true, std::memory_order_relaxed);
    }
  }
  return scope->flag_->load(std::memory_order_relaxed);
}

void throw_if_cancelled() {
  if (cancelled()) throw Cancelled();
}

CancelScope::CancelScope(const CancelFlag* flag) : flag_(flag), before_(std::exchange(current, this)) {}

CancelScope::CancelScope(CancelFlag& flag, std::function<bool()> ended)
    : flag_(&flag),
      own_flag_(&flag),
      ended_(std::move(ended)),
      next_(coarse_milliseconds() + between_questions),
      before_(std::exchange(current, this)) {}

CancelScope::~CancelScope() {
  current = before_;
}

}  // namespace cgfac
