#include "core/solver/conjugate_gradient.h"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <limits>
#include <numeric>

using namespace cgfac;

namespace {

// A small dense matrix as operator, which puts the step of x off as long as the contract allows; `on_apply` lets a test
// spoil a product.
struct Dense {
  using Vector = std::array<double, 3>;
  std::array<Vector, 3> matrix{};
  std::function<void(int, Vector&)> on_apply = [](int, Vector&) {};
  int applications = 0;
  int finished = 0;
  Vector q{};
  double step = 0;
  const Vector* direction = nullptr;
  Vector* solution = nullptr;

  double norm2(const Vector& x) { return dot(x, x); }
  double advance_direction(const Vector& r, double beta, Vector& p) {
    take_step();
    for (std::size_t i = 0; i < 3; ++i) p[i] = r[i] + (beta == 0 ? 0 : beta * p[i]);
    for (std::size_t i = 0; i < 3; ++i) q[i] = dot(matrix[i], p);
    on_apply(++applications, q);
    return dot(p, q);
  }
  double update_residual(double alpha, const Vector& /*p*/, Vector& r) {
    for (std::size_t i = 0; i < 3; ++i) r[i] -= alpha * q[i];
    return dot(r, r);
  }
  void advance_solution(double alpha, const Vector& p, Vector& x) {
    step = alpha;
    direction = &p;
    solution = &x;
  }
  void finish() {
    take_step();
    ++finished;
  }
  [[nodiscard]] double extent() const { return 0; }
  void take_step() {
    for (std::size_t i = 0; step != 0 && i < 3; ++i) (*solution)[i] += step * (*direction)[i];
    step = 0;
  }
  double dot(const Vector& x, const Vector& y) { return std::inner_product(x.begin(), x.end(), y.begin(), 0.0); }
};

Dense diagonal(double a, double b, double c) {
  Dense result;
  result.matrix[0][0] = a;
  result.matrix[1][1] = b;
  result.matrix[2][2] = c;
  return result;
}

struct Run {
  CgSummary summary;
  Dense::Vector x{};
  std::vector<double> residuals;
};

Run run(Dense& op, const Dense::Vector& v, const CgOptions& options, const CancelFlag* cancel = nullptr) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Run result;
  Dense::Vector r = v;
  Dense::Vector p{nan, nan, nan};  // scratch is not read before it is written
  result.summary = conjugate_gradient(op, result.x, r, p, op.dot(v, v), options, cancel, &result.residuals);
  CHECK(op.finished == 1);  // however the loop ended, x is up to date
  return result;
}

}  // namespace

TEST_CASE("conjugate gradients: three distinct eigenvalues take three iterations") {
  Dense op = diagonal(1, 2, 4);
  const Run result = run(op, {1, 1, 1}, {.max_iterations = 20, .tolerance = 1e-3});
  CHECK(result.summary.reason == CgReason::converged);
  CHECK(result.summary.iterations == 3);
  CHECK(result.summary.initial_residual == 1);
  CHECK(result.residuals.size() == 3);
  CHECK(result.residuals.back() == result.summary.residual);
  CHECK(result.x[0] == doctest::Approx(1));
  CHECK(result.x[1] == doctest::Approx(0.5));
  CHECK(result.x[2] == doctest::Approx(0.25));
}

TEST_CASE("conjugate gradients: one step by hand") {
  // v = (2, 1), F = diag(1, 3): alpha = 5/7
  Dense op = diagonal(1, 3, 1);
  const Run result = run(op, {2, 1, 0}, {.max_iterations = 1, .tolerance = 0});
  CHECK(result.summary.reason == CgReason::max_iterations);
  CHECK(result.x[0] == doctest::Approx(10.0 / 7));
  CHECK(result.x[1] == doctest::Approx(5.0 / 7));
  CHECK(result.summary.residual == doctest::Approx(std::sqrt((16.0 + 64.0) / 49.0 / 5.0)));
}

TEST_CASE("conjugate gradients: tolerance 0 ends at the float32 floor") {
  Dense op = diagonal(1, 1 + 1e-9, 1);
  const Run result = run(op, {1, 1, 1}, {.max_iterations = 20, .tolerance = 0});
  CHECK(result.summary.reason == CgReason::converged);
  CHECK(result.summary.iterations == 1);
}

TEST_CASE("conjugate gradients: an indefinite operator ends the loop before x takes the step") {
  Dense op = diagonal(1, -1, 1);
  const Run result = run(op, {0.1, 1, 0}, {});
  CHECK(result.summary.reason == CgReason::indefinite);
  CHECK(result.summary.iterations == 0);
  CHECK(result.x == Dense::Vector{});
}

TEST_CASE("conjugate gradients: NaN ends the loop and x stays the last finite iterate") {
  Dense clean = diagonal(1, 2, 4);
  const Run one = run(clean, {1, 1, 1}, {.max_iterations = 1, .tolerance = 0});
  for (const double poison : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    Dense op = diagonal(1, 2, 4);
    op.on_apply = [poison](int application, Dense::Vector& y) {
      if (application == 2) y[1] = poison;
    };
    const Run result = run(op, {1, 1, 1}, {.max_iterations = 20, .tolerance = 0});
    CHECK((result.summary.reason == CgReason::broken_down || result.summary.reason == CgReason::indefinite));
    CHECK(result.summary.iterations == 1);
    CHECK(result.x == one.x);
  }
  Dense op = diagonal(1, 2, 4);
  Dense::Vector x{};
  Dense::Vector r{std::numeric_limits<double>::quiet_NaN(), 0, 0};
  Dense::Vector p{};
  const CgSummary summary = conjugate_gradient(op, x, r, p, 1.0, {}, nullptr, nullptr);
  CHECK(summary.reason == CgReason::broken_down);
  CHECK(op.applications == 0);
}

TEST_CASE("conjugate gradients: the cancel flag is read every iteration") {
  CancelFlag cancel = false;
  Dense op = diagonal(1, 2, 4);
  op.on_apply = [&cancel](int application, Dense::Vector&) { cancel = application == 2; };
  const Run result = run(op, {1, 1, 1}, {.max_iterations = 20, .tolerance = 0}, &cancel);
  CHECK(result.summary.reason == CgReason::cancelled);
  CHECK(result.summary.iterations == 2);
}
