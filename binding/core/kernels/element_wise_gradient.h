#pragma once

#include <cstddef>
#include <span>

namespace cgfac {

/// Functions f of each number of which a gradient goes back, dx = dy · f′, with what f′ is made of: of what f was taken
/// of (x), or of what it gave (y). multiply is a product whose other factor is x; elu, selu and leaky_relu have a slope
/// where x is not above 0; clip cuts off what is below `first` or above `second`, leaky_relu has the slope `first`.
enum class ElementWiseGradient : unsigned char {
  multiply,    // dy x
  square,      // 2 dy x
  tanh,        // dy (1 − y²)
  sigmoid,     // dy y (1 − y)
  relu,        // dy where x > 0, else 0
  relu6,       // dy where 0 < x ≤ 6, else 0
  elu,         // dy where y ≥ 0, else dy (y + 1)
  selu,        // λ dy where x > 0, else λα dy eˣ
  softplus,    // dy / (1 + e⁻ˣ)
  leaky_relu,  // dy where x > 0, else first · dy
  clip         // dy where first ≤ x ≤ second, else 0
};

/// dx[i] ← dy[i] · f′ from saved[i]; `saved` is as long as dx, which shares no memory with the others. A number gives
/// the same bits at every place, whatever the number of threads.
void element_wise_gradient(ElementWiseGradient function, float first, float second, std::span<const float> dy,
                           std::span<const float> saved, std::span<float> dx);

}  // namespace cgfac
