#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/solver/cg_fac.h"
#include "core/threads/workspace_pool.h"

namespace cgfac::node {

/// The native half of `ConjugateGradient`: options, and workspaces that are reused from solve to solve.
class ConjugateGradientWrap : public Napi::ObjectWrap<ConjugateGradientWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// (options): { history } and those of cg_fac_options.
  explicit ConjugateGradientWrap(const Napi::CallbackInfo& info);

 private:
  using Workspaces = WorkspacePool<CgFacWorkspace>;
  struct Outcome {
    CgFacSummary summary;
    std::vector<double> residuals;
  };
  using Solve = std::function<Outcome(const CancelFlag*)>;

  /// (operator, vKernel, vBias, outKernel, outBias, x0Kernel | undefined, x0Bias | undefined) → summary
  Napi::Value solve_sync(const Napi::CallbackInfo& info);
  /// (… the same, cancelToken | undefined) → Promise<summary>
  Napi::Value solve(const Napi::CallbackInfo& info);
  [[nodiscard]] Solve parse(const Napi::CallbackInfo& info);
  [[nodiscard]] static Napi::Value outcome_object(Napi::Env env, const Outcome& outcome, bool history);

  CgFacOptions options_;
  bool history_;
  std::shared_ptr<Workspaces> workspaces_ = std::make_shared<Workspaces>();
};

}  // namespace cgfac::node
