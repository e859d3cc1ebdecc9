#include "node/convert/state.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "node/convert/arrays.h"

namespace cgfac::node {
namespace {

constexpr std::array<std::pair<const char*, std::vector<float> EigenState::*>, 4> eigen_arrays{
    {{"inputVectors", &EigenState::input_vectors},
     {"outputVectors", &EigenState::output_vectors},
     {"inputValues", &EigenState::input_values},
     {"outputValues", &EigenState::output_values}}};

// Places of solver.numbers; those from `input_scale` on are not in a state of 0.1.0.
enum Place : std::size_t {
  input_rows,
  output_rows,
  input_own,
  output_own,
  entered,
  batches,
  input_trace,
  output_trace,
  input_scale,
  output_scale,
  places
};

Error unfit() {
  return expected(ErrorCode::shape_mismatch, "the state of a layer like this one", "state", "another");
}

template <typename T>
std::vector<T> numbers_of(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  const napi_typedarray_type type = std::is_same_v<T, float> ? napi_float32_array : napi_float64_array;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) throw unfit();
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Object object_of(const Napi::Value& value) {
  if (!value.IsObject() || value.IsFunction()) throw unfit();
  return value.As<Napi::Object>();
}

// Finite numbers ≥ 0, of which those that count can.
void require_counts(const std::vector<double>& numbers, std::span<const std::size_t> counts) {
  const auto usable = [](double number) { return number >= 0 && std::isfinite(number); };
  if (!std::ranges::all_of(numbers, usable)) throw unfit();
  if (std::ranges::any_of(counts, [&](std::size_t place) { return numbers[place] > 9e15; })) throw unfit();
}

bool keeps_factors(const LayerOptions& options) {
  const bool factored = options.damping_mode == DampingMode::factored;
  return options.method != Method::kfac && (factored || options.factor.history != FactorHistory::none);
}

bool keeps_solver(const LayerOptions& options) {
  return options.method == Method::kfac || options.damping_mode == DampingMode::tikhonov;
}

Napi::Object factor_object(Napi::Env env, const FactorState& state) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("rows", typed_array<Napi::Float32Array>(env, state.rows));
  result.Set("average", typed_array<Napi::Float32Array>(env, state.average));
  result.Set("squares", typed_array<Napi::Float64Array>(env, state.squares));
  const std::vector<double> numbers{state.scale, state.trace, 0, static_cast<double>(state.refreshes),
                                    static_cast<double>(state.dimension)};
  result.Set("numbers", typed_array<Napi::Float64Array>(env, numbers));
  return result;
}

FactorState factor_state(const Napi::Value& value) {
  const Napi::Object object = object_of(value);
  const auto numbers = numbers_of<double>(object, "numbers");
  if (numbers.size() != 5) throw unfit();
  require_counts(numbers, std::array<std::size_t, 2>{3, 4});
  FactorState state{.rows = numbers_of<float>(object, "rows"),
                    .squares = numbers_of<double>(object, "squares"),
                    .average = numbers_of<float>(object, "average"),
                    .scale = numbers[0],
                    .trace = numbers[1],
                    .refreshes = static_cast<std::size_t>(numbers[3]),
                    .dimension = static_cast<std::size_t>(numbers[4])};
  state.own = state.dimension == 0 ? 0 : state.rows.size() / state.dimension;
  return state;
}

// Rows without their homogeneous coordinate, and with it
std::vector<float> without_last(const std::vector<float>& rows, std::size_t features, std::size_t dimension) {
  std::vector<float> result;
  for (std::size_t at = 0; at < rows.size(); at += dimension)
    result.insert(result.end(), rows.begin() + static_cast<std::ptrdiff_t>(at),
                  rows.begin() + static_cast<std::ptrdiff_t>(at + features));
  return result;
}

std::vector<float> with_ones(const std::vector<float>& rows, std::size_t features, std::size_t dimension) {
  if (features == dimension) return rows;
  std::vector<float> result;
  for (std::size_t at = 0; at + features <= rows.size(); at += features) {
    result.insert(result.end(), rows.begin() + static_cast<std::ptrdiff_t>(at),
                  rows.begin() + static_cast<std::ptrdiff_t>(at + features));
    result.push_back(1);
  }
  return result;
}

Napi::Object solver_object(Napi::Env env, const LayerState& state, const LayerShape& shape,
                           const LayerOptions& options) {
  const bool rows = !keeps_factors(options) && options.method != Method::kfac;
  const std::vector<float> inputs =
      rows ? without_last(state.input.rows, shape.in_features, shape.cols()) : std::vector<float>{};
  const std::vector<float> grads = rows ? state.output.rows : std::vector<float>{};
  const bool kfac = options.method == Method::kfac;
  Napi::Object result = Napi::Object::New(env);
  const auto set = [&](const char* name, const std::vector<float>& numbers) {
    result.Set(name, typed_array<Napi::Float32Array>(env, numbers));
  };
  set("inputs", inputs);
  set("outputGrads", grads);
  set("previous", state.previous);
  set("inputFactor", kfac ? state.input.average : std::vector<float>{});
  set("outputFactor", kfac ? state.output.average : std::vector<float>{});
  for (const auto& [name, array] : eigen_arrays) set(name, state.eigen.*array);
  std::vector<double> numbers(places);
  const std::size_t input_count = inputs.size() / shape.in_features;
  const std::size_t output_count = grads.size() / shape.out_features;
  numbers[input_rows] = static_cast<double>(input_count);
  numbers[output_rows] = static_cast<double>(output_count);
  numbers[input_own] = rows ? static_cast<double>(state.input.own) : 0;
  numbers[output_own] = rows ? static_cast<double>(state.output.own) : 0;
  numbers[entered] = state.batches > 0 ? 1 : 0;
  numbers[batches] = static_cast<double>(state.batches);
  numbers[input_trace] = state.input.trace;
  numbers[output_trace] = state.output.trace;
  numbers[input_scale] = state.input.scale;
  numbers[output_scale] = state.output.scale;
  result.Set("numbers", typed_array<Napi::Float64Array>(env, numbers));
  return result;
}

struct SolverSide {
  const char* rows;
  const char* average;
  std::size_t features;
  std::size_t dimension;
  Place count;
  Place own;
  Place trace;
  Place scale;
};

FactorState solver_side(const Napi::Object& object, const std::vector<double>& numbers, const SolverSide& side,
                        bool kfac) {
  FactorState state{.dimension = side.dimension};
  const auto rows = numbers_of<float>(object, side.rows);
  const auto count = static_cast<std::size_t>(numbers[side.count]);
  if (rows.size() != count * side.features || numbers[side.own] > numbers[side.count]) throw unfit();
  if (kfac) {
    if (count > 0 && numbers[batches] == 0) throw unfit();  // rows that another method's solver had, and no average
    state.average = numbers_of<float>(object, side.average);
    state.trace = numbers[side.trace];
    state.refreshes = static_cast<std::size_t>(numbers[batches]);
    return state;
  }
  if (count == 0) return state;
  const bool scaled = numbers.size() == places;
  state.rows = with_ones(rows, side.features, side.dimension);
  state.own = static_cast<std::size_t>(numbers[side.own]);
  state.scale = scaled ? numbers[side.scale] : 1 / static_cast<double>(count);
  state.trace = scaled ? numbers[side.trace] : std::numeric_limits<double>::quiet_NaN();
  // the rows that a convolution draws next depend on it
  state.refreshes = std::max<std::size_t>(1, static_cast<std::size_t>(numbers[batches]));
  return state;
}

void read_solver(const Napi::Object& object, const LayerShape& shape, const LayerOptions& options, LayerState& state) {
  const auto numbers = numbers_of<double>(object, "numbers");
  if (numbers.size() != places && numbers.size() != input_scale) throw unfit();
  require_counts(numbers, std::array<std::size_t, 6>{input_rows, output_rows, input_own, output_own, entered, batches});
  state.previous = numbers_of<float>(object, "previous");
  for (const auto& [name, array] : eigen_arrays) state.eigen.*array = numbers_of<float>(object, name);
  state.batches = static_cast<std::int64_t>(numbers[batches]);
  if (keeps_factors(options)) return;
  const bool kfac = options.method == Method::kfac;
  const SolverSide input{.rows = "inputs",
                         .average = "inputFactor",
                         .features = shape.in_features,
                         .dimension = shape.cols(),
                         .count = input_rows,
                         .own = input_own,
                         .trace = input_trace,
                         .scale = input_scale};
  const SolverSide output{.rows = "outputGrads",
                          .average = "outputFactor",
                          .features = shape.out_features,
                          .dimension = shape.out_features,
                          .count = output_rows,
                          .own = output_own,
                          .trace = output_trace,
                          .scale = output_scale};
  state.input = solver_side(object, numbers, input, kfac);
  state.output = solver_side(object, numbers, output, kfac);
}

}  // namespace

Napi::Object state_object(Napi::Env env, const LayerState& state, const LayerShape& shape,
                          const LayerOptions& options) {
  Napi::Object result = Napi::Object::New(env);
  if (keeps_factors(options)) {
    const Napi::Object factors = Napi::Object::New(env);
    factors.Set("input", factor_object(env, state.input));
    factors.Set("output", factor_object(env, state.output));
    result.Set("factors", factors);
  }
  if (keeps_solver(options)) result.Set("solver", solver_object(env, state, shape, options));
  return result;
}

LayerState layer_state(const Napi::Value& value, const LayerShape& shape, const LayerOptions& options) {
  const Napi::Object object = object_of(value);
  const Napi::Value factors = object.Get("factors");
  const Napi::Value solver = object.Get("solver");
  if (factors.IsUndefined() == keeps_factors(options) || solver.IsUndefined() == keeps_solver(options)) throw unfit();
  LayerState state;
  if (!factors.IsUndefined()) {
    const Napi::Object sides = object_of(factors);
    state.input = factor_state(sides.Get("input"));
    state.output = factor_state(sides.Get("output"));
  }
  if (!solver.IsUndefined()) read_solver(object_of(solver), shape, options, state);
  return state;
}

}  // namespace cgfac::node
