#include "node/convert/report_writer.h"

#include <cmath>

#include "node/convert/arrays.h"

namespace cgfac::node {
namespace {

template <typename Enum>
double number(Enum value) {
  return static_cast<double>(value);
}

ReportReason reason_of(CgReason reason) {
  switch (reason) {
    case CgReason::converged:
      return ReportReason::converged;
    case CgReason::max_iterations:
      return ReportReason::max_iterations;
    case CgReason::stagnated:
      return ReportReason::stagnated;
    case CgReason::indefinite:
      return ReportReason::indefinite;
    case CgReason::broken_down:
    case CgReason::cancelled:  // never seen: its promise rejects
      return ReportReason::broken_down;
  }
  return ReportReason::broken_down;
}

ReportForm form_of(FactorForm form) {
  return form == FactorForm::covariance ? ReportForm::covariance : ReportForm::panel;
}

void write_cg(const CgFacSummary& summary, std::span<double> report) {
  using enum SolveReport::Place;
  report[iterations] = summary.cg.iterations;
  report[residual] = summary.cg.residual;
  report[initial_residual] = summary.cg.initial_residual;
  report[reason] = number(reason_of(summary.cg.reason));
  report[space] = number(summary.space == Space::weight ? ReportSpace::weight : ReportSpace::gram);
  if (summary.space != Space::gram) return;
  report[basis] = number(summary.basis == GramBasis::tridiagonal ? ReportBasis::tridiagonal : ReportBasis::plain);
}

}  // namespace

template <typename Report>
std::span<double> report_array(const Napi::Value& value) {
  return float64_array(value, "report", Report::size);
}
template std::span<double> report_array<SolveReport>(const Napi::Value& value);
template std::span<double> report_array<StepReport>(const Napi::Value& value);

void write_report(const LayerSummary& summary, std::span<double> report) {
  using enum SolveReport::Place;
  const bool kfac = summary.method == Method::kfac;
  std::ranges::fill(report, SolutionProducts::unknown);
  report[method] = number(summary.method);
  report[iterations] = 0;
  report[reason] = number(ReportReason::solved);
  report[space] = number(kfac || summary.formed ? ReportSpace::weight : ReportSpace::gram);
  report[input_form] = number(kfac ? ReportForm::covariance : form_of(summary.forms.input));
  report[output_form] = number(kfac ? ReportForm::covariance : form_of(summary.forms.output));
  if (summary.cg_fac) write_cg(*summary.cg_fac, report);
  if (summary.damping > 0) report[damping] = summary.damping;
  if (summary.factored) {
    report[damping] = summary.factored->input;
    report[output_damping] = summary.factored->output;
  }
  if (summary.exact) {
    report[lambda_max] = summary.exact->values.lambda_max;
    report[effective_rank] = summary.exact->values.effective_rank;
    report[clamped] = static_cast<double>(summary.exact->clamped);
  }
  report[vx] = summary.products.vx;
  report[x_fx] = summary.products.xfx;
  report[xx] = summary.products.xx;
}

void write_report(const LayerStep& step, double elapsed, std::span<double> report) {
  using enum StepReport::Place;
  write_report(step.summary, report);
  if (!step.curved) report[reason] = number(ReportReason::no_curvature);
  if (step.by_rows) report[space] = number(ReportSpace::rows);
  report[vx] = step.vx;
  report[bound] = step.bound;
  report[restarted] = step.restarted ? 1 : 0;
  report[input_rows] = static_cast<double>(step.input_rows);
  report[output_rows] = static_cast<double>(step.output_rows);
  report[input_trace] = step.traces.input;
  report[output_trace] = step.traces.output;
  report[input_largest] = step.largest.input;
  report[output_largest] = step.largest.output;
  report[input_effective_rank] = step.effective_ranks.input;
  report[output_effective_rank] = step.effective_ranks.output;
  if (!std::isnan(step.effective_rank)) report[effective_rank] = step.effective_rank;
  report[microseconds] = elapsed;
}

Napi::Object summary_object(Napi::Env env, const CgFacSummary& summary) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("iterations", summary.cg.iterations);
  result.Set("residual", summary.cg.residual);
  result.Set("initialResidual", summary.cg.initial_residual);
  result.Set("reason", number(reason_of(summary.cg.reason)));
  result.Set("space", number(summary.space == Space::gram ? ReportSpace::gram : ReportSpace::weight));
  return result;
}

void set_products(Napi::Object& object, const SolutionProducts& products) {
  const auto set = [&](const char* name, double value) {
    if (!std::isnan(value)) object.Set(name, value);
  };
  set("vx", products.vx);
  set("xFx", products.xfx);
  set("xx", products.xx);
}

}  // namespace cgfac::node
