#include "node/classes/spectrum.h"

#include "core/base/error.h"
#include "node/addon.h"
#include "node/convert/arrays.h"
#include "node/convert/report_writer.h"
#include "node/errors.h"

namespace cgfac::node {

Napi::Function SpectrumWrap::define(Napi::Env env) {
  return DefineClass(env, "Spectrum", {InstanceMethod<&SpectrumWrap::at>("at")});
}

SpectrumWrap::SpectrumWrap(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<SpectrumWrap>(info), MemoryHolder(info.Env()) {
  if (!info[0].IsExternal()) return;
  spectrum_ = *info[0].As<Napi::External<std::shared_ptr<const Spectrum>>>().Data();
  tell(spectrum_->bytes());
}

void SpectrumWrap::let_go() {
  spectrum_.reset();
  tell(0);
}

Napi::Object SpectrumWrap::create(Napi::Env env, std::shared_ptr<const Spectrum> spectrum) {
  return Addon::of(env).spectrum_class().New({Napi::External<std::shared_ptr<const Spectrum>>::New(env, &spectrum)});
}

Napi::Value SpectrumWrap::at(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    if (!spectrum_) throw expected(ErrorCode::no_record, "a spectrum from a solve", "at()", "none");
    const Spectrum::Values values = spectrum_->at(number_of(info[0]));
    Napi::Object result = Napi::Object::New(env);
    set_products(result, values.products);
    result.Set("lambdaMax", values.lambda_max);
    result.Set("effectiveRank", values.effective_rank);
    return result;
  });
}

}  // namespace cgfac::node
