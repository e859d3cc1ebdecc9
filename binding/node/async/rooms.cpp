#include "node/async/rooms.h"

#include <algorithm>
#include <cstdint>

namespace cgfac::node {
namespace {

// Enough for the arrays of a call on a layer of 4 M weights, or of a step of that many.
constexpr std::size_t most_bytes = 64UL << 20U;
constexpr std::size_t most_rooms = 32;

}  // namespace

void Rooms::take(std::size_t size, std::list<Buffer<float>>& rooms) {
  const std::size_t bytes = size * sizeof(float);
  const auto found = std::ranges::find_if(
      free_, [&](const Buffer<float>& room) { return room.bytes() >= bytes && room.bytes() <= 2 * bytes; });
  if (found == free_.end()) {
    rooms.emplace_front();
    return;
  }
  const std::size_t before = bytes_;
  bytes_ -= found->bytes();
  rooms.splice(rooms.begin(), free_, found);
  tell(before);
}

void Rooms::give(std::list<Buffer<float>>& rooms) noexcept {
  const std::size_t before = bytes_;
  for (const Buffer<float>& room : rooms) bytes_ += room.bytes();
  free_.splice(free_.begin(), rooms);
  while (bytes_ > most_bytes || free_.size() > most_rooms) {
    bytes_ -= free_.back().bytes();
    free_.pop_back();
  }
  tell(before);
}

void Rooms::tell(std::size_t before) const noexcept {
  if (bytes_ == before) return;
  std::int64_t all = 0;
  // an engine that is about to end listens no more, which changes nothing here
  (void)napi_adjust_external_memory(env_, static_cast<std::int64_t>(bytes_) - static_cast<std::int64_t>(before), &all);
}

}  // namespace cgfac::node
