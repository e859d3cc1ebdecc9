#include "node/errors.h"

#include <new>

#include "core/base/error.h"

namespace cgfac::node {
namespace {

const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_value:
      return "ERR_CGFAC_INVALID_ARG_VALUE";
    case ErrorCode::shape_mismatch:
      return "ERR_CGFAC_SHAPE_MISMATCH";
    case ErrorCode::not_finite:
      return "ERR_CGFAC_NOT_FINITE";
    case ErrorCode::no_record:
      return "ERR_CGFAC_NO_RECORD";
    case ErrorCode::blas_mismatch:
      return "ERR_CGFAC_BLAS_MISMATCH";
  }
  return "ERR_CGFAC_INTERNAL";
}

}  // namespace

Napi::Error coded_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

Napi::Error translate(Napi::Env env, const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return coded_error(env, code_name(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return coded_error(env, "ERR_CGFAC_OUT_OF_MEMORY",
                       "Expected memory for a workspace but received none from the system");
  } catch (const std::exception& error) {
    return coded_error(env, "ERR_CGFAC_INTERNAL", error.what());
  } catch (...) {
    return coded_error(env, "ERR_CGFAC_INTERNAL", "an exception of unknown type");
  }
}

}  // namespace cgfac::node
