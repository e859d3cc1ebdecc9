#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace cgfac {

/// What a broken contract is called. The binding maps each to an ERR_CGFAC_… code of its own.
enum class ErrorCode {
  invalid_value,   ///< the right type, a value out of range
  shape_mismatch,  ///< an array, or an operator, of another shape
  not_finite,      ///< NaN or infinity in the data, or a product beyond the range of float32
  no_record,       ///< a direction was asked for before a batch was recorded
  blas_mismatch,   ///< OpenBLAS gave wrong results in the self-check, or its kernel does not fit
};

/// A broken contract. Numerical events (out of iterations, a breakdown) are results with a reason, never exceptions.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

/// "Expected X for NAME but received Y", the one form of every message about an argument.
[[nodiscard]] Error expected(ErrorCode code, std::string_view what, std::string_view name, std::string_view received);

/// Formats a number for a message: "NaN", "Infinity", "-Infinity", or its shortest decimal form.
[[nodiscard]] std::string to_text(double value);

}  // namespace cgfac
