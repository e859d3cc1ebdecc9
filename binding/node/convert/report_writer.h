#pragma once

#include <napi.h>

#include <span>

#include "core/layer/layer_summary.h"
#include "node/convert/reports.h"

namespace cgfac::node {

/// The memory of a Float64Array for a report.
template <typename Report>
[[nodiscard]] std::span<double> report_array(const Napi::Value& value);

/// Writes what a layer says of a solve: building an object costs more than solving for a tiny layer.
void write_report(const LayerSummary& summary, std::span<double> report);
/// Writes what a layer says of a step.
void write_report(const LayerStep& step, double elapsed, std::span<double> report);

/// { iterations, residual, initialResidual, reason, space } of a bare solve.
[[nodiscard]] Napi::Object summary_object(Napi::Env env, const CgFacSummary& summary);
/// { vx, xFx, xx }: those that are known.
void set_products(Napi::Object& object, const SolutionProducts& products);

}  // namespace cgfac::node
