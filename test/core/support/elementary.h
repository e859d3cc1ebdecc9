#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/kernels/element_wise.h"

namespace cgfac::test {

/// An elementary function, and what it is in float64.
struct ElementaryCase {
  const char* name;
  ElementWise function;
  double (*exact)(double);
};

/// All of them.
inline constexpr std::array<ElementaryCase, 11> elementary_cases{
    {{"exp", ElementWise::exp, [](double x) { return std::exp(x); }},
     {"expm1", ElementWise::expm1, [](double x) { return std::expm1(x); }},
     {"log", ElementWise::log, [](double x) { return std::log(x); }},
     {"log1p", ElementWise::log1p, [](double x) { return std::log1p(x); }},
     {"tanh", ElementWise::tanh, [](double x) { return std::tanh(x); }},
     {"sigmoid", ElementWise::sigmoid,
      [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }},
     {"elu", ElementWise::elu, [](double x) { return x < 0 ? std::expm1(x) : x; }},
     {"softplus", ElementWise::softplus,
      [](double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }},
     {"erf", ElementWise::erf, [](double x) { return std::erf(x); }},
     {"sqrt", ElementWise::sqrt, [](double x) { return std::sqrt(x); }},
     {"rsqrt", ElementWise::rsqrt, [](double x) { return 1 / std::sqrt(x); }}}};

/// The error of y in units in the last place of the exact value; infinite where one of them alone is NaN, or where an
/// infinity or a zero is not the one that the exact value rounds to.
inline double error_of(float y, double exact) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto rounded = static_cast<float>(exact);
  if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) && std::isnan(y) ? 0 : infinity;
  if (std::isinf(rounded) || std::isinf(y)) return y == rounded ? 0 : infinity;
  if (std::signbit(y) != std::signbit(rounded)) return infinity;
  const int exponent = std::max(std::ilogb(exact), std::numeric_limits<float>::min_exponent - 1);
  return exact == 0 ? (y == 0 ? 0 : infinity)
                    : std::fabs(static_cast<double>(y) - exact) / std::ldexp(1, exponent - 23);
}

}  // namespace cgfac::test
