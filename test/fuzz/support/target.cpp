#include "support/target.h"

#include <cstddef>
#include <cstdint>

#include "core/threads/thread_pool.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cgfac::ThreadPool::shared().resize(1);
  cgfac::fuzz::run(cgfac::fuzz::Draws({data, size}));
  return 0;
}
