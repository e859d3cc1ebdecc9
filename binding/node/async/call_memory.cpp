#include "node/async/call_memory.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "core/threads/parallel.h"
#include "node/errors.h"

namespace cgfac::node {
namespace {

// Numbers that one thread copies at a time.
constexpr std::size_t copied_at_once = 1U << 16U;

bool share_memory(std::span<const float> x, std::span<const float> y) {
  const std::less<> before;
  return !x.empty() && !y.empty() && before(x.data(), y.data() + y.size()) && before(y.data(), x.data() + x.size());
}

bool is_same(const Napi::ObjectReference& array, const Napi::Value& value) {
  return value.IsObject() ? array.Value().StrictEquals(value) : array.IsEmpty();
}

}  // namespace

void copy_numbers(std::span<const float> from, std::span<float> to) {
  const std::size_t pieces = (from.size() + copied_at_once - 1) / copied_at_once;
  parallel_for(pieces, 4 * static_cast<double>(from.size()), [&](std::size_t piece) {
    const std::size_t first = piece * copied_at_once;
    const std::span<const float> part = from.subspan(first, std::min(copied_at_once, from.size() - first));
    std::ranges::copy(part, to.subspan(first).begin());
  });
}

CallMemory::~CallMemory() {
  if (!owned()) return;
  all_rooms_->give(rooms_);
}

std::span<float> CallMemory::room(std::size_t size) {
  all_rooms_->take(size, rooms_);
  return rooms_.front().span(size);
}

const CallMemory::Copied* CallMemory::copied(std::span<const float> array) const {
  const auto found = std::ranges::find_if(copies_, [&](const Copied& copy) {
    return copy.from.data() == array.data() && copy.from.size() == array.size();
  });
  return found == copies_.end() ? nullptr : &*found;
}

std::span<float> CallMemory::room_of(std::span<const float> array) {
  const Copied* const copy = copied(array);
  return copy == nullptr ? room(array.size()) : copy->to;
}

std::span<float> CallMemory::copy_of(std::span<const float> array) {
  if (const Copied* const copy = copied(array)) return copy->to;
  const std::span<float> to = room(array.size());
  copy_numbers(array, to);
  copies_.push_back({.from = array, .to = to});
  return to;
}

WeightArrays CallMemory::read(const WeightArrays& arrays) {
  if (!owned()) return arrays;
  return {.kernel = copy_of(arrays.kernel), .bias = copy_of(arrays.bias)};
}

MatrixView<const float> CallMemory::read(const MatrixView<const float>& matrix) {
  if (!owned()) return matrix;
  return {copy_of(matrix.elements()).data(), matrix.rows, matrix.cols};
}

Batch CallMemory::read(const Batch& batch) {
  return {.inputs = read(batch.inputs), .output_grads = read(batch.output_grads)};
}

void CallMemory::aim(const Napi::Value& array, const char* name, std::span<float> from) {
  if (!array.IsObject()) return;
  targets_.push_back({.array = Napi::Persistent(array.As<Napi::Object>()), .name = name, .from = from});
}

void CallMemory::deliver(const WeightArrays& from, const Arrays& to) {
  aim(to.kernel, to.name, from.kernel);
  if (!from.bias.empty()) aim(to.bias, to.name, from.bias);
}

WeightArrays CallMemory::write(const Arrays& arrays, bool fresh) {
  if (!owned()) return arrays.memory;
  if (fresh) {
    for (const Napi::Value& array : {arrays.kernel, arrays.bias}) {
      if (array.IsObject()) pins_.push_back(Napi::Persistent(array.As<Napi::Object>()));
    }
    return arrays.memory;
  }
  const WeightArrays own{.kernel = room_of(arrays.memory.kernel), .bias = room_of(arrays.memory.bias)};
  deliver(own, arrays);
  return own;
}

WeightArrays CallMemory::update(const Arrays& arrays, const std::shared_ptr<Strand>& strand, PendingUpdates& pending) {
  if (!owned()) return arrays.memory;
  before_ = pending.find(arrays, strand.get());
  updated_ = write(arrays, false);
  copy_numbers(arrays.memory.kernel, updated_.kernel);
  copy_numbers(arrays.memory.bias, updated_.bias);
  return updated_;
}

void CallMemory::keep(const WeightArrays& arrays) {
  if (!owned()) return;
  for (const std::span<float> memory : {arrays.kernel, arrays.bias}) {
    if (!memory.empty()) kept_.push_back({.memory = memory, .before = room(memory.size())});
  }
}

const CallMemory* CallMemory::base() const {
  const CallMemory* memory = before_.get();
  while (memory != nullptr && !memory->written_) memory = memory->before_.get();
  return memory;
}

void CallMemory::begin() {
  begun_ = true;
  for (const Kept& each : kept_) copy_numbers(each.memory, each.before);
  const CallMemory* const base = this->base();
  if (base == nullptr) return;
  copy_numbers(base->updated_.kernel, updated_.kernel);
  copy_numbers(base->updated_.bias, updated_.bias);
}

void CallMemory::commit(Napi::Env env) {
  std::vector<std::span<float>> arrays;
  arrays.reserve(targets_.size());
  for (const Target& target : targets_) {
    arrays.push_back(float32_array(target.array.Value(), target.name));
    if (arrays.back().size() == target.from.size()) continue;
    throw coded_error(env, "ERR_CGFAC_DETACHED_BUFFER",
                      std::string("Expected an array that is still there when its call settles for ") + target.name +
                          " but received one whose buffer was detached meanwhile; nothing was written");
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) copy_numbers(targets_[i].from, arrays[i]);
}

void CallMemory::take_back() {
  if (!begun_) return;
  for (const Kept& each : kept_) copy_numbers(each.before, each.memory);
}

// A call behind one that has written looks no further back.
void CallMemory::release() {
  targets_.clear();
  pins_.clear();
  kept_.clear();
  copies_.clear();
  if (written_) before_.reset();
}

void CallMemory::abandon() {
  all_rooms_.reset();
  for (Target& target : targets_) target.array.SuppressDestruct();
  for (Napi::ObjectReference& pin : pins_) pin.SuppressDestruct();
  if (before_) before_->abandon();
}

std::shared_ptr<CallMemory> PendingUpdates::find(const CallMemory::Arrays& arrays, const Strand* strand) {
  std::erase_if(updates_, [](const Update& update) { return update.memory.expired(); });
  std::shared_ptr<CallMemory> found;
  for (const Update& update : updates_) {
    const std::shared_ptr<CallMemory> memory = update.memory.lock();
    const std::vector<CallMemory::Target>& targets = memory->targets_;
    if (targets.empty()) continue;  // settled
    const bool same = is_same(targets.front().array, arrays.kernel) &&
                      (targets.size() == 1 || is_same(targets.back().array, arrays.bias));
    if (same && update.strand == strand) {
      found = memory;
      continue;
    }
    for (const CallMemory::Target& target : targets) {
      const std::span<float> pending = float32_array(target.array.Value(), target.name);
      if (!share_memory(pending, arrays.memory.kernel) && !share_memory(pending, arrays.memory.bias)) continue;
      throw coded_error(arrays.kernel.Env(), "ERR_CGFAC_OVERLAP",
                        std::string("Expected arrays that no other pending call updates for ") + arrays.name +
                            " but received an overlap; await it first");
    }
  }
  return found;
}

void PendingUpdates::add(const std::shared_ptr<CallMemory>& memory, const Strand* strand) {
  updates_.push_back({.memory = memory, .strand = strand});
}

}  // namespace cgfac::node
