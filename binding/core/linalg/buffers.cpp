// The memory that OpenBLAS packs its operands in. Its own allocator asks the system again and again for ever where it
// is refused, and ends the process where more than some hundred threads call at once; here a thread that gets none
// waits until another thread's product is done. A product takes one buffer, and none while it has one.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
#include <vector>

#include "core/linalg/openblas.h"

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#endif

// What the linker puts in the place of OpenBLAS's functions.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the linker's
extern "C" {
void* __wrap_blas_memory_alloc(int position);
void __wrap_blas_memory_free(void* buffer);
}

namespace cgfac::blas {
namespace {

// BUFFER_SIZE of OpenBLAS for x86-64, the largest (for arm64 it is 32 MiB), of which a kernel uses some megabytes.
constexpr std::size_t buffer_bytes = std::size_t{128} << 20U;

// Address space for a buffer, whose pages are memory once they are used; null where the system refuses it.
void* new_buffer() {
#if defined(_WIN32)
  return VirtualAlloc(nullptr, buffer_bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
#else
  void* const buffer = mmap(nullptr, buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return buffer == MAP_FAILED ? nullptr : buffer;
#endif
}

// The buffer that this thread had last, which its caches may still hold.
thread_local void* last_of_thread = nullptr;

// Buffers that no product works in. They are never given back to the system, because a product may be under way while
// the process exits.
class Buffers {
 public:
  // A buffer, or null where none is free and the system refuses another.
  void* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty() && !make()) return nullptr;
    const auto own = std::ranges::find(free_, last_of_thread);
    if (own != free_.end()) std::iter_swap(own, free_.end() - 1);
    last_of_thread = free_.back();
    free_.pop_back();
    return last_of_thread;
  }

  void give(void* buffer) {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(buffer);  // within its capacity
    }
    returned_.fetch_add(1, std::memory_order_release);
    returned_.notify_one();
  }

  // A buffer, once there is one.
  void* wait_for_one() {
    for (;;) {
      const unsigned seen = returned_.load(std::memory_order_acquire);
      if (void* const buffer = take()) return buffer;
      returned_.wait(seen, std::memory_order_acquire);
    }
  }

 private:
  bool make() {
    try {
      free_.reserve(made_ + 1);
    } catch (const std::bad_alloc&) {
      return false;
    }
    void* const buffer = new_buffer();
    if (buffer == nullptr) return false;
    ++made_;
    free_.push_back(buffer);
    return true;
  }

  std::mutex mutex_;
  std::vector<void*> free_;  // has room for all that were made
  std::size_t made_ = 0;
  std::atomic<unsigned> returned_{0};
};

Buffers& buffers() {
  static auto* const all = new Buffers();  // NOLINT(cppcoreguidelines-owning-memory): never destroyed, as said above
  return *all;
}

}  // namespace

void reserve_buffer() {
  void* const buffer = buffers().take();
  if (buffer == nullptr) throw std::bad_alloc();
  buffers().give(buffer);
}

}  // namespace cgfac::blas

void* __wrap_blas_memory_alloc(int /*position*/) {
  return cgfac::blas::buffers().wait_for_one();
}

void __wrap_blas_memory_free(void* buffer) {
  cgfac::blas::buffers().give(buffer);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
