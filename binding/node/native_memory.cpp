#include "node/native_memory.h"

#include <vector>

#include "node/addon.h"

namespace cgfac::node {
namespace {

// Between two looks for collected objects.
constexpr std::int64_t growth = 32LL << 20;

}  // namespace

MemoryHolder::MemoryHolder(Napi::Env env) : env_(env), all_(NativeMemory::of(env)) {
  all_->holders_.insert(this);
}

MemoryHolder::~MemoryHolder() {
  all_->holders_.erase(this);
  if (told_ > 0) Napi::MemoryManagement::AdjustExternalMemory(env_, -static_cast<std::int64_t>(told_));
}

void MemoryHolder::tell(std::size_t bytes) {
  if (bytes == told_) return;
  const auto change = static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(told_);
  told_ = bytes;
  all_->change(env_, change);
}

std::shared_ptr<NativeMemory> NativeMemory::of(Napi::Env env) {
  return Addon::of(env).memory();
}

void NativeMemory::change(Napi::Env env, std::int64_t bytes) {
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  if (bytes < 0) return;
  grown_ += bytes;
  if (grown_ < growth) return;
  grown_ = 0;
  sweep(env);
}

void NativeMemory::sweep(Napi::Env env) {
  const Napi::HandleScope scope(env);
  std::vector<MemoryHolder*> collected;
  for (MemoryHolder* const holder : holders_) {
    if (holder->collected()) collected.push_back(holder);
  }
  for (MemoryHolder* const holder : collected) holder->let_go();
}

}  // namespace cgfac::node
