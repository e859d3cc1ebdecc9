#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/factor/factor.h"
#include "core/solver/eigen.h"

namespace cgfac {

/// What a layer needs to go on with: `Layer::restore` makes the same layer of it, bit for bit.
struct LayerState {
  FactorState input{};
  FactorState output{};
  EigenState eigen{};             ///< of direct K-FAC
  std::int64_t batches = 0;       ///< that have entered the factors
  std::vector<float> previous{};  ///< the warm start; empty where there is none
};

}  // namespace cgfac
