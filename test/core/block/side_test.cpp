// A side in each of its forms against the factor written out in float64: sums, products, and the passes over weights.
#include "core/block/side.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>

#include "core/base/error.h"
#include "core/operator/gram_problem.h"
#include "core/solver/cg_fac.h"
#include "core/solver/sample.h"
#include "support/sides.h"
#include "support/solutions.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

// fewer rows than features, more of them, and single elements
const std::vector<SidedBlock::Sizes> small_sizes{
    {1, 1, 1, 1}, {4, 5, 3, 2}, {5, 3, 9, 12}, {13, 29, 5, 7}, {31, 11, 6, 40}};

std::vector<BlockForms> possible_forms(const FisherBlock& block) {
  using enum FactorForm;
  std::vector<BlockForms> result;
  for (const BlockForms& forms : {BlockForms{panel, panel}, BlockForms{panel, covariance},
                                  BlockForms{covariance, panel}, BlockForms{covariance, covariance}}) {
    const bool input = forms.input == covariance || !block.input.given();
    const bool output = forms.output == covariance || !block.output.given();
    if (input && output) result.push_back(forms);
  }
  return result;
}

// M U of a covariance side, in place
std::vector<float> with_covariances(const FisherBlock& block, const BlockForms& forms, std::vector<float> u) {
  const std::size_t q = projected_size(block.output, forms.output);
  const std::size_t p = projected_size(block.input, forms.input);
  DenseMatrix c{.rows = q, .cols = p, .numbers = std::vector<double>(u.begin(), u.end())};
  if (forms.output == FactorForm::covariance) c = factor_matrix(block.output) * c;
  if (forms.input == FactorForm::covariance) c = c * factor_matrix(block.input);
  return {c.numbers.begin(), c.numbers.end()};
}

}  // namespace

TEST_CASE("side: trace, damping, largest eigenvalue and matrix are those of the factor written out") {
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    const FisherBlock& block = sided.block;
    const BlockTraces sums = traces(block);
    const double input_trace = trace_of(factor_matrix(block.input));
    const double output_trace = trace_of(factor_matrix(block.output));
    CHECK(sums.input == doctest::Approx(input_trace).epsilon(1e-6));
    CHECK(sums.output == doctest::Approx(output_trace).epsilon(1e-6));
    CHECK(absolute_damping(block, sums, {.value = 0.5, .relative = true}) ==
          doctest::Approx(0.5 * input_trace * output_trace / static_cast<double>(block.size())).epsilon(1e-6));
    for (const Side& side : {block.input, block.output}) {
      const DenseMatrix factor = factor_matrix(side);
      const double largest = jacobi(factor).largest();
      CHECK(largest_eigenvalue(side) <= largest * (1 + 1e-5));
      CHECK(largest_eigenvalue(side) >= 0.5 * largest);  // five steps from a start that is orthogonal to nothing
      std::vector<float> matrix(factor.numbers.size());
      covariance_matrix(side, {matrix.data(), factor.rows, factor.cols});
      CHECK(relative_error(matrix, factor.numbers) <= 1e-6);
    }
  });
}

TEST_CASE("side: the symmetric matrix of Gram space is the factor, or has its eigenvalues") {
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    const FisherBlock& block = sided.block;
    const BlockForms forms = gram_forms(block);
    const std::size_t q = projected_size(block.output, forms.output);
    const std::size_t p = projected_size(block.input, forms.input);
    DenseMatrix input{.rows = p, .cols = p};
    DenseMatrix output{.rows = q, .cols = q};
    std::vector<double> scratch((p * p) + (q * q) + 2);
    form_matrices(block, forms, {input.numbers.data(), p, p}, {output.numbers.data(), q, q}, scratch);
    const auto check = [](const Side& side, FactorForm form, const DenseMatrix& matrix) {
      CHECK(norm(difference(matrix.numbers, matrix.transposed().numbers)) == 0);
      const DenseMatrix factor = factor_matrix(side);
      if (form == FactorForm::covariance) {
        CHECK(relative_error(matrix.numbers, factor.numbers) <= 1e-6);
      } else {
        CHECK(jacobi(matrix).largest() == doctest::Approx(jacobi(factor).largest()).epsilon(1e-6));
        CHECK(trace_of(matrix) == doctest::Approx(trace_of(factor)).epsilon(1e-6));
      }
    };
    check(block.input, forms.input, input);
    check(block.output, forms.output, output);
  });
}

TEST_CASE("side: project, the matrices and expand make (F + λI) v, in every form that the sides can have") {
  constexpr double damping = 0.3;
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    const FisherBlock& block = sided.block;
    const BlockTraces sums = traces(block);
    const auto expected = dense_apply(block, damping, std::span<const float>(sided.v));
    for (const BlockForms& forms : possible_forms(block)) {
      const std::size_t q = projected_size(block.output, forms.output);
      const std::size_t p = projected_size(block.input, forms.input);
      std::vector<float> u(q * p);
      std::vector<float> scratch(pass_scratch(block, forms, 0));
      const double norm2 = project(block, forms, sided.given().v, {u.data(), q, p}, scratch);
      CHECK(norm2 == doctest::Approx(dot(sided.v, sided.v)).epsilon(1e-6));
      const std::vector<float> c = with_covariances(block, forms, u);
      std::vector<float> out(block.size());
      expand(block, forms, sums, damping, sided.given(), {c.data(), q, p}, norm(c),
             {.out = block.view(std::span<float>(out))}, scratch);
      CHECK(relative_error(out, expected) <= 2e-6);  // a few 2⁻²⁴, as in golden_test.cpp
    }
  });
}

TEST_CASE("side: the Fisher operator in weight space takes every form, for one application and for many") {
  constexpr double damping = 0.3;
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    const FisherBlock& block = sided.block;
    const BlockTraces sums = traces(block);
    const auto expected = dense_apply(block, damping, std::span<const float>(sided.v));
    for (const std::size_t applications : {1, 1000}) {
      FisherOperator::Workspace workspace;
      const FisherOperator fisher(block, sums, damping, applications, workspace);
      std::vector<float> out(block.size());
      fisher.apply(sided.given().v, block.view(std::span<float>(out)));
      CHECK(relative_error(out, expected) <= 2e-6);
    }
    std::vector<float> out(block.size());
    FisherOperator::Workspace workspace;
    apply_fisher(block, {.value = damping}, sided.given().v, block.view(std::span<float>(out)), workspace);
    CHECK(relative_error(out, expected) <= 2e-6);
  });
}

TEST_CASE("side: a batch's own gradient has the batch's rows, whatever the input side is made of") {
  for_each_sided_block(small_sizes, both_layouts, [](const SidedBlock& sided) {
    for (const bool other_inputs : {false, true}) {
      if (!other_inputs && sided.input_form != SideForm::rows) continue;
      const Gradient own = sided.own(other_inputs);
      Buffer<float> memory;
      const Gradient given = given_gradient(sided.block, own, memory);
      CHECK(!given.same_batch());
      const std::vector<float> formed(memory.held(sided.block.size()).begin(), memory.held(sided.block.size()).end());
      CHECK(relative_error(formed, dense_gradient(sided.block, own)) <= 1e-6);
      CHECK(given_gradient(sided.block, given, memory).v.kernel.data == given.v.kernel.data);
    }
  });
}

TEST_CASE("side: NaN in an average or in the batch's own rows is named, and nothing is written") {
  constexpr SidedBlock::Sizes sizes{5, 6, 4, 4};
  const auto message = [](const FisherBlock& block, const Gradient& gradient, Space space) -> std::string {
    std::vector<float> out(block.size(), 7.0F);
    CgFacWorkspace workspace;
    try {
      (void)cg_fac(block, traces(block), 1, gradient, {}, {.out = block.view(std::span<float>(out))}, {.space = space},
                   workspace, nullptr, nullptr);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_finite);
      CHECK(std::ranges::count(out, 7.0F) == static_cast<std::ptrdiff_t>(out.size()));
      return error.what();
    }
    return "no error";
  };
  const auto with_nan = [&](SideForm form, bool output, std::size_t at) {
    SidedBlock sided{.sizes = sizes,
                     .input_form = output ? SideForm::rows : form,
                     .output_form = output ? form : SideForm::rows,
                     .bias = true,
                     .layout = KernelLayout::out_in};
    (output ? sided.output : sided.input).numbers[at] = std::numeric_limits<float>::quiet_NaN();
    return message(sided.block, sided.given(), Space::gram);
  };
  // rows of a panel have seven numbers, the last of which is the homogeneous coordinate
  CHECK(with_nan(SideForm::panel, false, 8) == "Expected finite numbers for inputs but received NaN at index 7");
  CHECK(with_nan(SideForm::panel, false, 13) == "Expected finite numbers for inputs but received NaN at index 1");
  CHECK(with_nan(SideForm::panel, true, 3) == "Expected finite numbers for outputGrads but received NaN at index 3");
  CHECK(with_nan(SideForm::matrix, false, 0) ==
        "Expected finite numbers for the input factor but received NaN at index 0");
  CHECK(with_nan(SideForm::matrix, false, 3) ==
        "Expected finite numbers for the input factor but received NaN at index 3");
  CHECK(with_nan(SideForm::matrix, true, 9) ==
        "Expected finite numbers for the output factor but received NaN at index 9");

  for (const Space space : {Space::gram, Space::weight}) {
    SidedBlock sided{.sizes = sizes,
                     .input_form = SideForm::panel,
                     .output_form = SideForm::matrix,
                     .bias = true,
                     .layout = KernelLayout::out_in};
    sided.inputs[7] = std::numeric_limits<float>::infinity();
    CHECK(message(sided.block, sided.own(true), space) ==
          "Expected finite numbers for inputs but received Infinity at index 7");
    sided.loss_grads[2] = std::numeric_limits<float>::quiet_NaN();
    CHECK(message(sided.block, sided.own(true), space) ==
          "Expected finite numbers for lossGrads but received NaN at index 2");
  }
}

TEST_CASE("side: the per-sample block has no average") {
  for (const auto& [input, output] :
       {std::pair{SideForm::panel, SideForm::rows}, std::pair{SideForm::rows, SideForm::matrix}}) {
    const SidedBlock sided{.sizes = {5, 6, 4, 4},
                           .input_form = input,
                           .output_form = output,
                           .bias = true,
                           .layout = KernelLayout::out_in};
    std::vector<float> out(sided.block.size());
    GramWorkspace workspace;
    CHECK_THROWS_WITH_AS(
        (void)solve_sample(sided.block, traces(sided.block), {.value = 1}, sided.given(),
                           {.out = sided.block.view(std::span<float>(out))}, workspace),
        "Expected the rows of one batch on both sides for the per-sample block but received an average", Error);
  }
}
