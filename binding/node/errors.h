#pragma once

#include <napi.h>

#include <exception>
#include <string>
#include <utility>

namespace cgfac::node {

/// A JavaScript Error with a `code`; the facade makes a CgfacError of it.
[[nodiscard]] Napi::Error coded_error(Napi::Env env, const char* code, const std::string& message);

/// The one table from C++ exceptions to codes.
[[nodiscard]] Napi::Error translate(Napi::Env env, const std::exception_ptr& exception);

/// Runs the body of a method; whatever C++ exception it throws becomes a coded JavaScript one.
template <typename Body>
auto guarded(Napi::Env env, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw translate(env, std::current_exception());
  }
}

}  // namespace cgfac::node
