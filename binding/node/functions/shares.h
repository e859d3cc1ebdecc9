#pragma once

#include <napi.h>

/// What ranks that train one model tell each other of a layer, and what becomes of it there; see
/// core/layer/side_share.h. Arrays that come back are new ones.
namespace cgfac::node {

/// (layer) → { inputs, lossGrads, outputGrads, numbers }: what was recorded, as recordShare takes it.
Napi::Value recorded_share(const Napi::CallbackInfo& info);
/// (layer, share): copies what another rank recorded behind what is there.
void record_share(const Napi::CallbackInfo& info);
/// (layer) → the ShareCounts of core/layer/side_share.h in their order, a Float64Array.
Napi::Value share_counts(const Napi::CallbackInfo& info);
/// ([{ layer, gradient, input, output }, …], undefined, token) → [{ input, output }, …]: the rows' own gradient goes
/// into `gradient`, { kernel, bias }; `input` and `output` are { form, range }, range a Float64Array of first, all,
/// most and stream, and come back as { form, numbers, meta }. Each may be undefined.
Napi::Value share_all_sync(const Napi::CallbackInfo& info);
Napi::Value share_all(const Napi::CallbackInfo& info);
/// (layer, [share, …], [share, …]): what the next refresh takes in, of all ranks, in their order.
void take_shares(const Napi::CallbackInfo& info);
/// (layer) → { numbers, meta }: the prepared direction.
Napi::Value direction(const Napi::CallbackInfo& info);
/// (layer, { numbers, meta }): the direction that another rank prepared.
void take_direction(const Napi::CallbackInfo& info);
/// ([{ layer, products }, …], undefined, token): u of each sample that was recorded here; → samples that have one, a
/// Float64Array.
Napi::Value measure_all_sync(const Napi::CallbackInfo& info);
Napi::Value measure_all(const Napi::CallbackInfo& info);

}  // namespace cgfac::node
