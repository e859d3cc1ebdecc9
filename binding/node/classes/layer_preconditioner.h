#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "core/layer/layer_preconditioner.h"
#include "core/threads/strand.h"
#include "core/threads/thread_pool.h"
#include "node/convert/arguments.h"

namespace cgfac::node {

/// The native half of `Spectrum`: the spectrum of a solve, for other dampings.
class SpectrumWrap : public Napi::ObjectWrap<SpectrumWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// Only `create` makes one that holds a spectrum.
  explicit SpectrumWrap(const Napi::CallbackInfo& info);
  static Napi::Object create(Napi::Env env, std::shared_ptr<const Spectrum> spectrum);

 private:
  /// (damping) → { vx, xFx, xx, lambdaMax, effectiveRank }
  Napi::Value at(const Napi::CallbackInfo& info);
  std::shared_ptr<const Spectrum> spectrum_;
};

/// The native half of `LayerPreconditioner`. Its asynchronous calls run one after another, each on the batch that was
/// recorded when it was made.
class LayerPreconditionerWrap : public Napi::ObjectWrap<LayerPreconditionerWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  /// (options): those of layer_shape and layer_options.
  explicit LayerPreconditionerWrap(const Napi::CallbackInfo& info);

  /// ([{ layer, vKernel, vBias, outKernel, outBias, report }, …])
  static void precondition_all(const Napi::CallbackInfo& info);

 private:
  struct Outcome {
    LayerSummary summary;
    std::shared_ptr<Spectrum> spectrum;  // where it was asked for and there is one
  };
  using Work = std::function<Outcome(const CancelFlag*)>;

  /// (inputs, outputGrads, batch, fisherRows, fillsUp: whether a short batch is filled up with rows of the one before)
  void record(const Napi::CallbackInfo& info);
  // Each writes to a report (write_report) and gives the spectrum, or undefined.
  /// (vKernel, vBias, outKernel, outBias, spectrum, report)
  Napi::Value precondition_sync(const Napi::CallbackInfo& info);
  /// (vKernel, vBias, outKernel, outBias, spectrum, report, cancelToken | undefined) → Promise
  Napi::Value precondition(const Napi::CallbackInfo& info);
  /// (inputs, outputGrads, lossGrads, batch, fisherRows, outKernel, outBias, factor, keep, spectrum, report)
  Napi::Value natural_gradient_sync(const Napi::CallbackInfo& info);
  /// … and cancelToken | undefined → Promise
  Napi::Value natural_gradient(const Napi::CallbackInfo& info);
  /// () → whether the recorded batch gives a damping to solve with
  Napi::Value has_damping(const Napi::CallbackInfo& info);
  /// (numbers): writes the spectra of the factors and the time of the last solve, in the order that lib/native.ts names
  void factor_spectra(const Napi::CallbackInfo& info);
  void forget_previous(const Napi::CallbackInfo& info);
  /// The batch before the last record() is the recorded one again.
  void roll_back(const Napi::CallbackInfo& info);
  void settle(const Napi::CallbackInfo& info);
  /// () → { input, output }: rows of the recorded batch, those that fill it up among them
  Napi::Value recorded_rows(const Napi::CallbackInfo& info);
  /// ({ damping }): of the calls to come
  void set_damping(const Napi::CallbackInfo& info);
  /// () → { batch, workspace, previous, factors }, bytes
  Napi::Value memory_usage(const Napi::CallbackInfo& info);
  /// () → the estimated work of a solve with the recorded batch, in no unit
  Napi::Value estimated_cost(const Napi::CallbackInfo& info);
  /// () → { inputs, outputGrads, previous, numbers } and, of direct K-FAC, its factors, eigenvectors and eigenvalues
  Napi::Value state(const Napi::CallbackInfo& info);
  void restore(const Napi::CallbackInfo& info);
  void reset(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  [[nodiscard]] Work parse(Napi::Env env, const WeightArrays& v, const WeightArrays& out, bool spectrum) const;
  [[nodiscard]] Work parse_precondition(const Napi::CallbackInfo& info) const;
  [[nodiscard]] Work parse_natural_gradient(const Napi::CallbackInfo& info) const;
  Napi::Value submit(const Napi::CallbackInfo& info, Work work, std::size_t report);
  static Napi::Value finish(Napi::Env env, const Outcome& outcome, std::span<double> report);
  void require_idle(Napi::Env env, const char* call) const;

  std::shared_ptr<LayerPreconditioner> layer_;                          // none once disposed; jobs under way keep it
  std::shared_ptr<double> microseconds_ = std::make_shared<double>(0);  // that the last solve took
  std::shared_ptr<Strand> strand_ = std::make_shared<Strand>(ThreadPool::shared());
  std::shared_ptr<std::size_t> pending_ = std::make_shared<std::size_t>(0);
};

}  // namespace cgfac::node
