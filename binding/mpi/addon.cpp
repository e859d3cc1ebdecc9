#include <napi.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mpi/failure.h"
#include "mpi/job.h"
#include "mpi/mpi_thread.h"

namespace cgfac::mpi {
namespace {

using Jobs = std::shared_ptr<Job>;

/// A typed array of JavaScript.
struct Array {
  Type type;
  const void* data;
  std::size_t count;
};

Type type_of(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return Type::float32;
    case napi_float64_array:
      return Type::float64;
    case napi_int32_array:
      return Type::int32;
    case napi_uint8_array:
      return Type::uint8;
    default:
      throw Failure(FailureKind::value, "Expected numbers that can travel but received an array of another type");
  }
}

napi_typedarray_type napi_type_of(Type type) {
  switch (type) {
    case Type::float32:
      return napi_float32_array;
    case Type::float64:
      return napi_float64_array;
    case Type::int32:
      return napi_int32_array;
    case Type::uint8:
      break;
  }
  return napi_uint8_array;
}

Array array_of(const Napi::Value& value) {
  napi_typedarray_type type{};
  std::size_t count = 0;
  void* data = nullptr;
  const Napi::Env env = value.Env();
  NAPI_THROW_IF_FAILED(env, napi_get_typedarray_info(env, value, &type, &count, &data, nullptr, nullptr), Array{});
  return {.type = type_of(type), .data = data, .count = count};
}

/// Refuses more numbers than the integers of MPI count, before anything is sent.
void require_countable(std::size_t total, const std::string& name) {
  if (total <= static_cast<std::size_t>(std::numeric_limits<int>::max())) return;
  throw Failure(FailureKind::value,
                "Expected at most 2147483647 numbers for " + name + " but received " + std::to_string(total));
}

/// A copy of arrays of one type, one after the other, each with as many free numbers before it.
Numbers copy_of(const std::vector<Array>& arrays, std::size_t room) {
  Numbers numbers{.type = arrays.front().type, .memory = {}, .runs = {}};
  std::size_t total = 0;
  for (const Array& array : arrays) {
    numbers.runs.push_back({total + room, array.count});
    total += room + array.count;
  }
  require_countable(total, "one collective");
  numbers.memory = bytes(total * bytes_of(numbers.type));
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].count > 0)
      std::memcpy(numbers.start(numbers.runs[i]), arrays[i].data, arrays[i].count * bytes_of(numbers.type));
  }
  return numbers;
}

/// Runs of numbers as one array.
Napi::Value joined(Napi::Env env, const Numbers& numbers, const std::vector<Run>& runs) {
  std::size_t count = 0;
  for (const Run& run : runs) count += run.count;
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, count * bytes_of(numbers.type));
  auto* to = static_cast<std::byte*>(buffer.Data());
  for (const Run& run : runs) {
    const std::size_t size = run.count * bytes_of(numbers.type);
    if (size > 0) std::memcpy(to, numbers.start(run), size);
    to += size;
  }
  napi_value array = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_create_typedarray(env, napi_type_of(numbers.type), count, buffer, 0, &array),
                       env.Undefined());
  return {env, array};
}

/// Runs of numbers as an array for each.
Napi::Value apart(Napi::Env env, const Numbers& numbers) {
  const Napi::Array arrays = Napi::Array::New(env, numbers.runs.size());
  for (std::size_t i = 0; i < numbers.runs.size(); ++i)
    arrays.Set(static_cast<std::uint32_t>(i), joined(env, numbers, {numbers.runs[i]}));
  return arrays;
}

/// What is expected of each rank, with room for what it says of its call before its numbers of that type.
Counts counts_of(const Napi::Value& value, Type type) {
  if (!value.IsArray()) return std::nullopt;
  const auto list = value.As<Napi::Array>();
  std::vector<std::size_t> counts(list.Length());
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < list.Length(); ++i) {
    counts[i] = static_cast<std::size_t>(list.Get(i).As<Napi::Number>().Int64Value());
    total += counts[i] + Ranks::room_before(type);
    require_countable(total, "expected.counts");
  }
  return counts;
}

Jobs job_of(std::function<void(Ranks&)> work, std::function<Napi::Value(Napi::Env)> result) {
  auto job = std::make_shared<Job>();
  job->work = std::move(work);
  job->result = std::move(result);
  return job;
}

/// (values, reduction)
Jobs allreduce(const Napi::CallbackInfo& info) {
  const auto numbers = std::make_shared<Numbers>(copy_of({array_of(info[0])}, 0));
  const auto reduction = static_cast<Reduction>(info[1].As<Napi::Number>().Int32Value());
  return job_of([=](Ranks& ranks) { *numbers = ranks.allreduce(*numbers, reduction); },
                [=](Napi::Env env) { return joined(env, *numbers, numbers->runs); });
}

/// (parts, counts or undefined)
Jobs alltoallv(const Napi::CallbackInfo& info) {
  const auto parts = info[0].As<Napi::Array>();
  std::vector<Array> arrays(parts.Length());
  for (std::uint32_t i = 0; i < parts.Length(); ++i) arrays[i] = array_of(parts.Get(i));
  const Counts counts = counts_of(info[1], arrays.front().type);
  const auto numbers = std::make_shared<Numbers>(copy_of(arrays, counts ? Ranks::room_before(arrays.front().type) : 0));
  return job_of([=](Ranks& ranks) { *numbers = ranks.alltoallv(*numbers, counts); },
                [=](Napi::Env env) { return apart(env, *numbers); });
}

/// (values, counts or undefined)
Jobs allgatherv(const Napi::CallbackInfo& info) {
  const Array array = array_of(info[0]);
  const Counts counts = counts_of(info[1], array.type);
  const auto numbers = std::make_shared<Numbers>(copy_of({array}, counts ? Ranks::room_before(array.type) : 0));
  return job_of([=](Ranks& ranks) { *numbers = ranks.allgatherv(*numbers, counts); },
                [=](Napi::Env env) { return apart(env, *numbers); });
}

/// (values, root)
Jobs bcast(const Napi::CallbackInfo& info) {
  const auto numbers = std::make_shared<Numbers>(copy_of({array_of(info[0])}, 0));
  const int root = info[1].As<Napi::Number>().Int32Value();
  return job_of([=](Ranks& ranks) { ranks.bcast(*numbers, root); },
                [=](Napi::Env env) { return joined(env, *numbers, numbers->runs); });
}

Napi::Value nothing(Napi::Env env) {
  return env.Undefined();
}

Jobs barrier(const Napi::CallbackInfo& /*info*/) {
  return job_of([](Ranks& ranks) { ranks.barrier(); }, nothing);
}

Jobs finalize(const Napi::CallbackInfo& /*info*/) {
  return job_of([](Ranks& ranks) { ranks.finalize(); }, nothing);
}

Napi::Value described(Napi::Env env, const MpiThread::Connection& connection) {
  const Napi::Object result = Napi::Object::New(env);
  result.Set("rank", connection.rank);
  result.Set("size", connection.size);
  result.Set("path", connection.path);
  result.Set("version", connection.version);
  result.Set("abi", name_of(connection.abi));
  return result;
}

}  // namespace

/// The state of one environment; all else belongs to the process.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports) {
    DefineAddon(
        exports,
        {InstanceMethod("connect", &Addon::connect), InstanceMethod("setExitCode", &Addon::set_exit_code),
         InstanceMethod("allreduce", &Addon::later<allreduce>), InstanceMethod("allreduceSync", &Addon::now<allreduce>),
         InstanceMethod("alltoallv", &Addon::later<alltoallv>), InstanceMethod("alltoallvSync", &Addon::now<alltoallv>),
         InstanceMethod("allgatherv", &Addon::later<allgatherv>),
         InstanceMethod("allgathervSync", &Addon::now<allgatherv>), InstanceMethod("bcast", &Addon::later<bcast>),
         InstanceMethod("bcastSync", &Addon::now<bcast>), InstanceMethod("barrier", &Addon::later<barrier>),
         InstanceMethod("barrierSync", &Addon::now<barrier>), InstanceMethod("finalize", &Addon::later<finalize>)});
    static_cast<void>(env);
  }

 private:
  template <typename Body>
  static Napi::Value guarded(Napi::Env env, Body body) {
    try {
      return body();
    } catch (const Napi::Error&) {
      throw;
    } catch (...) {
      throw translate(env, std::current_exception());
    }
  }

  template <Jobs (*Parse)(const Napi::CallbackInfo&)>
  Napi::Value later(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return queue(info.Env(), Parse(info), *settler_); });
  }

  template <Jobs (*Parse)(const Napi::CallbackInfo&)>
  Napi::Value now(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return wait(info.Env(), Parse(info)); });
  }

  /// (names, milliseconds) → a promise of what was connected, or undefined where the process has been before
  Napi::Value connect(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return connected(info); });
  }

  Napi::Value connected(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto list = info[0].As<Napi::Array>();
    std::vector<std::string> names(list.Length());
    for (std::uint32_t i = 0; i < list.Length(); ++i) names[i] = list.Get(i).As<Napi::String>();
    const std::chrono::milliseconds timeout(info[1].As<Napi::Number>().Int64Value());
    if (!settler_) {
      settler_ = std::make_unique<Settler>(env);
      NAPI_THROW_IF_FAILED(env, napi_add_env_cleanup_hook(env, end_with_environment, this), env.Undefined());
    }
    const auto made = std::make_shared<MpiThread::Connection>();
    const Jobs job = job_of({}, [made](Napi::Env settled) { return described(settled, *made); });
    const bool begun =
        MpiThread::of_process().connect(this, names, timeout, [=, this](const MpiThread::Connection& connection) {
          *made = connection;
          job->error = connection.error;
          settler_->hand_over(job);
        });
    return begun ? Napi::Value(settler_->promise(env, *job)) : env.Undefined();
  }

  /// (code): what the run ends with where this process leaves without having finalized
  void set_exit_code(const Napi::CallbackInfo& info) {
    MpiThread::of_process().set_exit_code(info[0].As<Napi::Number>().Int32Value());
  }

  // A worker_thread that is terminated, or ends, with the connection in it; the main thread at its natural end.
  static void end_with_environment(void* addon) { MpiThread::of_process().leave(addon); }

  std::unique_ptr<Settler> settler_;
};

}  // namespace cgfac::mpi

using cgfac::mpi::Addon;  // NOLINT(google-global-names-in-headers): no header, also where lint includes it
NODE_API_ADDON(Addon)
