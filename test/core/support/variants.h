#pragma once

#include <vector>

#include "core/layer/layer.h"

namespace cgfac::test {

/// Every method, damping and history that a layer of steps can have.
inline std::vector<LayerOptions> variants(const FactorOptions& factor) {
  std::vector<LayerOptions> result;
  for (const FactorHistory history : {FactorHistory::none, FactorHistory::panel, FactorHistory::dense}) {
    LayerOptions options{.damping = {.value = 0.5, .relative = true}, .factor = factor};
    options.factor.history = history;
    options.cg_fac.cg = {.max_iterations = 4, .tolerance = 0};
    for (const Method method : {Method::cg, Method::exact, Method::automatic, Method::kfac}) {
      if (method == Method::kfac && history != FactorHistory::dense) continue;
      options.method = method;
      options.damping_mode = DampingMode::tikhonov;
      result.push_back(options);
      options.damping_mode = DampingMode::factored;
      if (method != Method::cg) result.push_back(options);
    }
  }
  return result;
}

}  // namespace cgfac::test
