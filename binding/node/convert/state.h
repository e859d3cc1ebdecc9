#pragma once

#include <napi.h>

#include "core/layer/kinds/kinds.h"
#include "core/layer/layer_options.h"
#include "core/layer/layer_state.h"

/// What a layer goes on with, as JavaScript keeps it: { factors?, solver? }, of typed arrays alone.
///
///   factors  { input, output }, each { rows, average, squares, numbers }: the factors, unless `solver` has them
///   solver   { inputs, outputGrads, previous, inputFactor, outputFactor, inputVectors, outputVectors, inputValues,
///            outputValues, numbers }: rows without a history, direct K-FAC's averages, and the warm start
///
/// Version 0.1.0 wrote the same, but for `solver.numbers` without the scales of the rows, which were 1/N_a and 1/N_g.
namespace cgfac::node {

/// What a layer's state is in JavaScript.
[[nodiscard]] Napi::Object state_object(Napi::Env env, const LayerState& state, const LayerShape& shape,
                                        const LayerOptions& options);
/// Throws Error(shape_mismatch) for what no such layer wrote.
[[nodiscard]] LayerState layer_state(const Napi::Value& value, const LayerShape& shape, const LayerOptions& options);

}  // namespace cgfac::node
