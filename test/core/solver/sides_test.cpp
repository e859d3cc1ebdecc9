// Every solver with every form of either side, against dense float64 arithmetic.
#include <doctest/doctest.h>

#include <optional>

#include "core/solver/cg_fac.h"
#include "core/solver/spectral.h"
#include "support/sides.h"
#include "support/solutions.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

const std::vector<SidedBlock::Sizes> small_sizes{{4, 5, 3, 2}, {5, 3, 9, 12}, {13, 29, 5, 7}};
// U has the 48 rows and columns that the mixed bases ask for.
const std::vector<SidedBlock::Sizes> mixed_sizes{{60, 70, 50, 53}, {53, 51, 80, 60}};

struct Right {
  Gradient gradient;
  std::vector<double> v;
};

// A given gradient, the batch's own of the side's rows where those are a batch's, and that of another batch.
std::vector<Right> right_sides(const SidedBlock& sided) {
  std::vector<Right> result{{.gradient = sided.given(), .v = {sided.v.begin(), sided.v.end()}}};
  for (const bool other_inputs : {false, true}) {
    if (!other_inputs && sided.input_form != SideForm::rows) continue;
    const Gradient own = sided.own(other_inputs);
    result.push_back({.gradient = own, .v = dense_gradient(sided.block, own)});
  }
  return result;
}

// What a solver says of its solution, against the solution in float64.
void check_products(const SolutionProducts& products, const FisherBlock& block, const std::vector<double>& v,
                    const std::vector<double>& x, double bound) {
  const double xfx = dot(x, dense_apply(block, 0, std::span<const double>(x)));
  CHECK(std::abs(products.vx - dot(v, x)) <= bound * norm(v) * norm(x));
  CHECK(std::abs(products.xfx - xfx) <= bound * norm(v) * norm(x));
}

enum class Start { none, plain, optimal };

struct SidesRun {
  Space space;
  GramBasis basis;
  double bound;  // of golden_test.cpp: five iterations in the space
};

// c·x₀, c = 1 or ⟨v, x₀⟩/⟨x₀, (F + λI) x₀⟩
std::vector<double> start_of(const SidedBlock& sided, Start start, double damping, const std::vector<double>& v) {
  std::vector<double> x(sided.block.size());
  if (start == Start::none) return x;
  const auto image = dense_apply(sided.block, damping, std::span<const float>(sided.x0));
  const double c = start == Start::plain ? 1 : dot(v, sided.x0) / dot(sided.x0, image);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = c * static_cast<double>(sided.x0[i]);
  return x;
}

void check_iterates(const SidedBlock& sided, const SidesRun& run, Start start, const Right& right) {
  constexpr int iterations = 5;
  const FisherBlock& block = sided.block;
  const BlockTraces sums = traces(block);
  const double damping = absolute_damping(block, sums, {.value = 3, .relative = true});
  std::optional<WeightView<const float>> x0;
  if (start != Start::none) x0 = block.view(std::span<const float>(sided.x0));
  CgFacOptions options{.cg = {.max_iterations = iterations, .tolerance = 0}, .space = run.space, .basis = run.basis};
  options.start_scaling = start == Start::optimal ? StartScaling::optimal : StartScaling::plain;
  std::vector<float> out = random_numbers<float>(block.size(), 9);
  const std::vector<float> before = out;
  CgFacWorkspace workspace;
  const CgFacSummary summary = cg_fac(block, sums, damping, right.gradient, x0,
                                      {.out = block.view(std::span<float>(out)), .factor = -2, .keep = 0.5}, options,
                                      workspace, nullptr, nullptr);
  CHECK(summary.space == run.space);
  const auto x = dense_iterate(block, damping, right.v, start_of(sided, start, damping, right.v), iterations);
  std::vector<double> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) expected[i] = (0.5 * static_cast<double>(before[i])) - (2 * x[i]);
  const double bound = start == Start::none ? run.bound : 5 * run.bound;
  CHECK(norm(difference(out, expected)) <= bound * (norm(x) + norm(before)));
  check_products(summary.products, block, right.v, x, bound);
}

}  // namespace

TEST_CASE("sides: conjugate gradients follow the float64 iterates, in both spaces and bases, from any start") {
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    for (const Right& right : right_sides(sided)) {
      CAPTURE(right.gradient.same_batch());
      for (const SidesRun& run :
           {SidesRun{Space::gram, GramBasis::plain, 2e-5}, SidesRun{Space::gram, GramBasis::tridiagonal, 2e-5},
            SidesRun{Space::weight, GramBasis::automatic, 2e-4}}) {
        CAPTURE(static_cast<int>(run.space));
        CAPTURE(static_cast<int>(run.basis));
        for (const Start start : {Start::none, Start::plain, Start::optimal}) {
          CAPTURE(static_cast<int>(start));
          check_iterates(sided, run, start, right);
        }
      }
    }
  });
}

namespace {

void check_exact(const SidedBlock& sided, const DenseSolver& dense, double relative, const Right& right) {
  const FisherBlock& block = sided.block;
  const BlockTraces sums = traces(block);
  const double damping = absolute_damping(block, sums, {.value = relative, .relative = true});
  const auto expected = dense.solve(damping, right.v);
  const double bound = 4 * unit_roundoff * dense.condition(damping);  // as the golden cases have it
  for (const bool with_spectrum : {false, true}) {
    CAPTURE(with_spectrum);
    GramWorkspace workspace;
    const GramProblem problem(block, sums, right.gradient, exact_scratch_numbers(block), workspace);
    std::vector<float> x(block.size());
    Spectrum spectrum;
    const ExactSummary summary =
        solve_exact(problem, damping, {.out = block.view(std::span<float>(x))}, with_spectrum ? &spectrum : nullptr);
    CHECK(relative_error(x, expected) <= bound);
    check_products(summary.values.products, block, right.v, expected, 4 * bound);
    if (!with_spectrum) continue;
    CHECK(summary.values.lambda_max == doctest::Approx(dense.input.largest() * dense.output.largest()).epsilon(1e-5));
    const double other = 2 * damping;
    check_products(spectrum.at(other).products, block, right.v, dense.solve(other, right.v), 4 * bound);
  }
}

void check_exact_solutions(const SidedBlock& sided) {
  const DenseSolver dense{.block = sided.block};
  for (const Right& right : right_sides(sided)) {
    CAPTURE(right.gradient.same_batch());
    for (const double relative : {10.0, 1e-1, 1e-4}) {  // the last below the rounding of K
      CAPTURE(relative);
      check_exact(sided, dense, relative, right);
    }
  }
}

}  // namespace

TEST_CASE("sides: the spectral solution is the dense one, of small matrices") {
  for_each_sided_block(small_sizes, both_layouts, check_exact_solutions);
}

TEST_CASE("sides: the spectral solution is the dense one in the mixed bases") {
  for_each_sided_block(mixed_sizes, {KernelLayout::in_out}, check_exact_solutions);
}
