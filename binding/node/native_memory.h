#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_set>

namespace cgfac::node {

class NativeMemory;

/// An object whose memory JavaScript's collector does not see: what it holds is told to the engine, which collects the
/// sooner the more there is of it.
class MemoryHolder {
 public:
  explicit MemoryHolder(Napi::Env env);
  virtual ~MemoryHolder();
  MemoryHolder(const MemoryHolder&) = delete;
  MemoryHolder& operator=(const MemoryHolder&) = delete;

 protected:
  /// Tells the engine that the object holds so many bytes now. JavaScript thread only.
  void tell(std::size_t bytes);

 private:
  friend class NativeMemory;
  /// Whether JavaScript has collected the object: it is destroyed at the next turn of the event loop.
  [[nodiscard]] virtual bool collected() const = 0;
  /// Frees the memory of an object that is collected, and tells so.
  virtual void let_go() = 0;

  Napi::Env env_;
  std::shared_ptr<NativeMemory> all_;
  std::size_t told_ = 0;
};

/// The holders of an environment. Node destroys collected objects at the next turn of the event loop, which a program
/// that makes layers in a synchronous loop does not come to: where much has been told since, their memory is freed
/// here.
class NativeMemory {
 public:
  /// What the holders of an environment share.
  static std::shared_ptr<NativeMemory> of(Napi::Env env);

 private:
  friend class MemoryHolder;
  void change(Napi::Env env, std::int64_t bytes);
  void sweep(Napi::Env env);

  std::unordered_set<MemoryHolder*> holders_;
  std::int64_t grown_ = 0;  // bytes since the last sweep
};

}  // namespace cgfac::node
