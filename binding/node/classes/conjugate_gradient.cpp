#include "node/classes/conjugate_gradient.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "node/addon.h"
#include "node/classes/fisher_operator.h"
#include "node/convert/arguments.h"
#include "node/errors.h"

namespace cgfac::node {

Napi::Function ConjugateGradientWrap::define(Napi::Env env) {
  return DefineClass(env, "ConjugateGradient",
                     {InstanceMethod<&ConjugateGradientWrap::solve_sync>("solveSync"),
                      InstanceMethod<&ConjugateGradientWrap::solve>("solve")});
}

ConjugateGradientWrap::ConjugateGradientWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<ConjugateGradientWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  options_ = cg_fac_options(options);
  history_ = options.Get("history").As<Napi::Boolean>().Value();
}

ConjugateGradientWrap::Solve ConjugateGradientWrap::parse(const Napi::CallbackInfo& info) {
  const FisherOperatorWrap& fisher = *FisherOperatorWrap::Unwrap(info[0].As<Napi::Object>());
  const LayerShape& shape = fisher.shape();
  const WeightArrays v = weight_arrays(info[1], info[2], "v", shape);
  const WeightArrays out = weight_arrays(info[3], info[4], "out", shape);
  std::optional<WeightArrays> x0;
  if (info[5].IsTypedArray()) x0 = weight_arrays(info[5], info[6], "x0", shape);
  const Batch rows = fisher.batch();
  require_no_overlap(info.Env(), out, v, x0, rows.inputs.elements(), rows.output_grads.elements());

  return [block = fisher_block(shape, rows), lambda = fisher.damping(), v, out, x0, options = options_,
          history = history_, workspaces = workspaces_](const CancelFlag* cancel) {
    Outcome outcome;
    auto workspace = workspaces->take();
    std::optional<WeightView<const float>> start;
    if (x0) start = x0->view(block);
    outcome.summary = cg_fac(block, lambda, v.view(block), start, out.view(block), options, *workspace, cancel,
                             history ? &outcome.residuals : nullptr);
    workspaces->give(std::move(workspace));
    return outcome;
  };
}

Napi::Value ConjugateGradientWrap::outcome_object(Napi::Env env, const Outcome& outcome, bool history) {
  Napi::Object result = summary_object(env, outcome.summary);
  if (history) {
    const Napi::Array residuals = Napi::Array::New(env, outcome.residuals.size());
    for (std::uint32_t k = 0; k < outcome.residuals.size(); ++k) residuals.Set(k, outcome.residuals[k]);
    result.Set("residuals", residuals);
  }
  return result;
}

Napi::Value ConjugateGradientWrap::solve_sync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return outcome_object(info.Env(), parse(info)(nullptr), history_); });
}

Napi::Value ConjugateGradientWrap::solve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    auto job = std::make_unique<Job>(env);
    const auto outcome = std::make_shared<Outcome>();
    job->work = [run = parse(info), outcome](const CancelFlag& cancel) { *outcome = run(&cancel); };
    job->result = [outcome, history = history_](Napi::Env settled) {
      return outcome_object(settled, *outcome, history);
    };
    for (std::size_t i = 1; i < 7; ++i) job->pin(info[i]);
    FisherOperatorWrap::Unwrap(info[0].As<Napi::Object>())->pin(*job);
    use_token(*job, info[7]);
    return Addon::of(env).jobs().submit(env, std::move(job), nullptr);
  });
}

}  // namespace cgfac::node
