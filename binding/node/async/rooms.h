#pragma once

#include <napi.h>

#include <cstddef>
#include <list>

#include "core/base/buffer.h"

namespace cgfac::node {

/// Memory of calls that have settled, kept for those to come: the pages of new memory cost more than what is copied
/// into them. What is kept is told to the engine. JavaScript thread only.
class Rooms {
 public:
  explicit Rooms(Napi::Env env) : env_(env) {}
  /// Puts a buffer in front of `rooms`: one that has room for so many numbers, and no more than twice as many, or an
  /// empty one where none is kept.
  void take(std::size_t size, std::list<Buffer<float>>& rooms);
  /// Takes buffers back; what nobody has asked for longest is freed where there is too much.
  void give(std::list<Buffer<float>>& rooms) noexcept;

 private:
  void tell(std::size_t before) const noexcept;

  Napi::Env env_;
  std::list<Buffer<float>> free_;  // the last given first
  std::size_t bytes_ = 0;
};

}  // namespace cgfac::node
