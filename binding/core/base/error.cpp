#include "core/base/error.h"

#include <array>
#include <charconv>
#include <cmath>

namespace cgfac {

Error expected(ErrorCode code, std::string_view what, std::string_view name, std::string_view received) {
  std::string message = "Expected ";
  message.append(what).append(" for ").append(name).append(" but received ").append(received);
  return {code, message};
}

std::string to_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::array<char, 32> text{};
  auto* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace cgfac
