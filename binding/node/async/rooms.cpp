#include "node/async/rooms.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace cgfac::node {
namespace {

// Enough for the arrays of a call on a layer of 4 M weights, or of a step of that many.
constexpr std::size_t most_bytes = 64UL << 20U;
constexpr std::size_t most_rooms = 32;

}  // namespace

Buffer<float> Rooms::take(std::size_t size) {
  const std::size_t bytes = size * sizeof(float);
  const auto found = std::ranges::find_if(
      free_, [&](const Buffer<float>& room) { return room.bytes() >= bytes && room.bytes() <= 2 * bytes; });
  if (found == free_.end()) return {};
  const std::size_t before = bytes_;
  Buffer<float> room = std::move(*found);
  free_.erase(found);
  bytes_ -= room.bytes();
  tell(before);
  return room;
}

void Rooms::give(Buffer<float> room) noexcept try {
  if (room.bytes() == 0) return;
  const std::size_t before = bytes_;
  const std::size_t bytes = room.bytes();
  free_.push_front(std::move(room));
  bytes_ += bytes;
  while (bytes_ > most_bytes || free_.size() > most_rooms) {
    bytes_ -= free_.back().bytes();
    free_.pop_back();
  }
  tell(before);
} catch (...) {  // no memory for the list, or an engine that listens no more: there is less to reuse
}

void Rooms::tell(std::size_t before) const {
  if (bytes_ == before) return;
  Napi::MemoryManagement::AdjustExternalMemory(env_,
                                               static_cast<std::int64_t>(bytes_) - static_cast<std::int64_t>(before));
}

}  // namespace cgfac::node
