#pragma once

#include <napi.h>

#include <list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/threads/strand.h"
#include "node/async/rooms.h"
#include "node/convert/arrays.h"

namespace cgfac::node {

class PendingUpdates;

/// to ← from, of one length, by the pool threads that are free.
void copy_numbers(std::span<const float> from, std::span<float> to);

/// The memory that a call works on. A synchronous call borrows the arrays of JavaScript: nothing can happen to them
/// before it returns. An asynchronous call owns its memory, since an array may be written to, transferred or freed
/// while the pool is at work: what is read is copied when the call is made, what is written is room of its own, and
/// goes into the arrays once the work is done, if they are still there.
///
/// Made, filled and settled on the JavaScript thread; `begin` and `end` are called on the pool.
class CallMemory {
 public:
  /// Of a synchronous call.
  CallMemory() = default;
  /// Of an asynchronous call, which takes its room from there and gives it back.
  explicit CallMemory(std::shared_ptr<Rooms> rooms) : all_rooms_(std::move(rooms)) {}
  ~CallMemory();
  CallMemory(const CallMemory&) = delete;
  CallMemory& operator=(const CallMemory&) = delete;

  // --- When the call is made

  /// What the call reads. The same array twice is one copy.
  [[nodiscard]] WeightArrays read(const WeightArrays& arrays);
  [[nodiscard]] MatrixView<const float> read(const MatrixView<const float>& matrix);
  [[nodiscard]] Batch read(const Batch& batch);

  /// Arrays of JavaScript, as a message names them, and the memory that they have.
  struct Arrays {
    Napi::Value kernel;
    Napi::Value bias;
    const char* name;
    WeightArrays memory;
  };
  /// What the call writes: the copy of what it reads, where both are the same arrays, so that results have the bits of
  /// the synchronous call. `fresh`: nobody else has seen the arrays, so that they need no other room.
  [[nodiscard]] WeightArrays write(const Arrays& arrays, bool fresh);
  /// What the call updates: room that holds the numbers of the arrays, or those that an earlier call of the strand,
  /// which is still pending, leaves for the same arrays.
  [[nodiscard]] WeightArrays update(const Arrays& arrays, const std::shared_ptr<Strand>& strand,
                                    PendingUpdates& pending);
  /// Has numbers of the call's own go into arrays once the work is done.
  void deliver(const WeightArrays& from, const Arrays& to);
  /// What the call updates where it lies, nobody else having seen it, and what is put back where the call fails.
  void keep(const WeightArrays& arrays);

  // --- On the pool

  /// Before the work: what `update` and `keep` have promised.
  void begin();
  /// After it, whether what it was to write is written.
  void end(bool written) { written_ = written; }

  // --- When the call settles

  [[nodiscard]] bool written() const { return written_; }
  /// Writes into the arrays of JavaScript, or throws ERR_CGFAC_DETACHED_BUFFER with none written where one is gone.
  void commit(Napi::Env env);
  /// Puts back what was kept.
  void take_back();
  /// Lets go of the arrays; what calls behind this one begin with stays.
  void release();
  /// The environment is gone, and has freed the references itself.
  void abandon();

 private:
  struct Target {
    Napi::ObjectReference array;
    const char* name;
    std::span<float> from;
  };
  struct Kept {
    std::span<float> memory;
    std::span<float> before;
  };
  struct Copied {
    std::span<const float> from;
    std::span<float> to;
  };
  friend class PendingUpdates;

  [[nodiscard]] std::span<float> room(std::size_t size);
  [[nodiscard]] const Copied* copied(std::span<const float> array) const;
  [[nodiscard]] std::span<float> copy_of(std::span<const float> array);
  [[nodiscard]] std::span<float> room_of(std::span<const float> array);
  void aim(const Napi::Value& array, const char* name, std::span<float> from);
  // The memory that what is to be updated begins with: that of the last call before this one that was not cancelled.
  [[nodiscard]] const CallMemory* base() const;

  [[nodiscard]] bool owned() const { return all_rooms_ != nullptr; }

  std::shared_ptr<Rooms> all_rooms_;
  bool begun_ = false;
  bool written_ = false;
  std::list<Buffer<float>> rooms_;
  std::vector<Copied> copies_;
  std::vector<Target> targets_;
  std::vector<Kept> kept_;
  std::vector<Napi::ObjectReference> pins_;
  WeightArrays updated_{};
  std::shared_ptr<CallMemory> before_;  // the pending call that updates the same arrays
};

/// The updates of an environment that have not settled. JavaScript thread only.
class PendingUpdates {
 public:
  /// The last one of the strand that updates these arrays, or none. Throws ERR_CGFAC_OVERLAP where another strand
  /// updates them, or this one updates others that share memory with them: one of both updates would be lost.
  [[nodiscard]] std::shared_ptr<CallMemory> find(const CallMemory::Arrays& arrays, const Strand* strand);
  void add(const std::shared_ptr<CallMemory>& memory, const Strand* strand);

 private:
  struct Update {
    std::weak_ptr<CallMemory> memory;
    const Strand* strand;
  };
  std::vector<Update> updates_;
};

}  // namespace cgfac::node
