#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/solver/cg_fac.h"
#include "core/threads/workspace_pool.h"
#include "node/classes/call.h"
#include "node/native_memory.h"

namespace cgfac::node {

/// The native half of `ConjugateGradient`: options, and workspaces that its solves take in turn.
class ConjugateGradientWrap : public Napi::ObjectWrap<ConjugateGradientWrap>, private MemoryHolder {
 public:
  /// The class as JavaScript has it.
  static Napi::Function define(Napi::Env env);
  /// (options): those of cg_fac_options, and { history }: whether residuals are reported.
  explicit ConjugateGradientWrap(const Napi::CallbackInfo& info);

 private:
  struct Outcome {
    CgFacSummary summary{};
    std::vector<double> residuals{};
  };
  /// (operator, { vKernel, vBias, outKernel, outBias, x0Kernel, x0Bias }) → summary
  Napi::Value solve_sync(const Napi::CallbackInfo& info);
  /// ({ …, fresh }, cancelToken | undefined) → Promise<summary>; `fresh`: whether `out` is new.
  Napi::Value solve(const Napi::CallbackInfo& info);
  [[nodiscard]] Call<Outcome> parse(const Napi::CallbackInfo& info, CallMemory& memory);
  [[nodiscard]] bool collected() const override { return Value().IsEmpty(); }
  void let_go() override;

  CgFacOptions options_;
  bool history_ = false;
  std::shared_ptr<WorkspacePool<CgFacWorkspace>> workspaces_ = std::make_shared<WorkspacePool<CgFacWorkspace>>();
};

}  // namespace cgfac::node
