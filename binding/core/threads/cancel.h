#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>

/// How work is stopped: whoever started it sets a flag, and whatever computes looks at the flag of its thread between
/// pieces of some milliseconds, in products, decompositions and loops alike, and leaves by an exception. `parallel_for`
/// hands the flag on to the threads that help.
namespace cgfac {

/// Set from another thread to end what runs.
using CancelFlag = std::atomic<bool>;

/// Thrown where work finds its flag set. What it was about to write is unfinished; what is kept is as it was.
class Cancelled : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "cancelled"; }
};

/// The flag of what runs on this thread; null where nothing can end it.
[[nodiscard]] const CancelFlag* current_cancel_flag();

/// Whether what runs on this thread is to end.
[[nodiscard]] bool cancelled();

/// Throws Cancelled where what runs on this thread is to end.
void throw_if_cancelled();

/// What work on a thread looks at within the life of this object.
class CancelScope {
 public:
  /// A flag that another thread sets; with null the work runs to its end, as a write does that must not be left half
  /// done.
  explicit CancelScope(const CancelFlag* flag);
  /// A flag that the thread itself sets once `ended` says so, which it asks every few milliseconds.
  CancelScope(CancelFlag& flag, std::function<bool()> ended);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  friend const CancelFlag* current_cancel_flag();
  friend bool cancelled();

  static thread_local const CancelScope* current;

  const CancelFlag* flag_;
  CancelFlag* own_flag_ = nullptr;
  std::function<bool()> ended_;
  mutable std::int64_t next_ = 0;  // when it is asked again, in milliseconds
  const CancelScope* before_;
};

}  // namespace cgfac
