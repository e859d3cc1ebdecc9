#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "support/reference.h"

namespace cgfac::test {

/// The forms that a side may have for the solvers.
enum class SideForm {
  rows,    ///< of a batch; the homogeneous 1 is not stored
  panel,   ///< of an average; the homogeneous coordinate is stored
  matrix,  ///< the factor itself
};
inline constexpr SideForm side_forms[] = {SideForm::rows, SideForm::panel, SideForm::matrix};

inline std::string to_name(SideForm form) {
  return form == SideForm::rows ? "rows" : form == SideForm::panel ? "panel" : "matrix";
}

/// A side of random numbers in one of its forms, with the memory that it views.
struct RandomSide {
  std::vector<float> numbers;
  Side side;
};

inline RandomSide random_side(SideForm form, std::size_t count, std::size_t features, bool homogeneous,
                              std::uint64_t seed) {
  RandomSide result;
  const std::size_t d = features + (homogeneous ? 1 : 0);
  Side& side = result.side;
  side.homogeneous = homogeneous;
  if (form == SideForm::rows) {
    result.numbers = random_numbers<float>(count * features, seed);
    side.rows = {result.numbers.data(), count, features};
    side.scale = 1 / static_cast<double>(count);
    return result;
  }
  result.numbers = random_numbers<float>(count * d, seed);
  for (float& x : result.numbers) x /= std::sqrt(static_cast<float>(count));
  if (form == SideForm::panel) {  // the last column lies between the rows, as a panel's does
    const MatrixView<const float> all(result.numbers.data(), count, d);
    side.rows = all.columns(0, features);
    if (homogeneous) side.last = all.columns(features, 1);
    return result;
  }
  std::vector<float> covariance(d * d);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t k = 0; k < count; ++k)
        covariance[(i * d) + j] += result.numbers[(k * d) + i] * result.numbers[(k * d) + j];
    }
  }
  result.numbers = std::move(covariance);
  side.rows = {nullptr, 0, features};
  side.covariance = {result.numbers.data(), d, d};
  side.scale = 0.75;
  return result;
}

/// A block with a form for either side, a right-hand side, a start, and a batch of whose own gradient it may be.
struct SidedBlock {
  struct Sizes {
    std::size_t m, n, input_rows, output_rows;
  };
  Sizes sizes;
  SideForm input_form;
  SideForm output_form;
  bool bias;
  KernelLayout layout;
  RandomSide input = random_side(input_form, sizes.input_rows, sizes.n, bias, 1);
  RandomSide output = random_side(output_form, sizes.output_rows, sizes.m, false, 2);
  FisherBlock block{.input = input.side, .output = output.side, .layout = layout};
  std::vector<float> v = random_numbers<float>(block.size(), 3);
  std::vector<float> x0 = random_numbers<float>(block.size(), 4);
  std::size_t batch = input_form == SideForm::rows ? sizes.input_rows : 6;  // of its own gradient
  std::vector<float> inputs = random_numbers<float>(batch * sizes.n, 5);
  std::vector<float> loss_grads = random_numbers<float>(batch * sizes.m, 6);

  [[nodiscard]] Gradient given() const { return {.v = block.view(std::span<const float>(v))}; }
  /// The gradient of a batch that the input side has the rows of, where it has a batch's, or of another one.
  [[nodiscard]] Gradient own(bool other_inputs) const {
    Gradient gradient{.v = {},
                      .loss_grads = {loss_grads.data(), batch, sizes.m},
                      .inputs = {},
                      .scale = 1 / static_cast<double>(batch)};
    if (other_inputs) gradient.inputs = {inputs.data(), batch, sizes.n};
    return gradient;
  }
  [[nodiscard]] std::string name() const {
    return std::to_string(sizes.m) + "x" + std::to_string(sizes.n) + (bias ? "+bias" : "") + ", input " +
           to_name(input_form) + " " + std::to_string(sizes.input_rows) + ", output " + to_name(output_form) + " " +
           std::to_string(sizes.output_rows) + (layout == KernelLayout::in_out ? ", in-out" : "");
  }
};

inline const std::vector<KernelLayout> both_layouts{KernelLayout::out_in, KernelLayout::in_out};

/// Calls check(block) for every form of either side, with and without a bias.
void for_each_sided_block(const std::vector<SidedBlock::Sizes>& all_sizes, const std::vector<KernelLayout>& layouts,
                          auto&& check) {
  for (const SidedBlock::Sizes& sizes : all_sizes) {
    for (const SideForm input : side_forms) {
      for (const SideForm output : side_forms) {
        for (const bool bias : {false, true}) {
          for (const KernelLayout layout : layouts) {
            const SidedBlock sided{
                .sizes = sizes, .input_form = input, .output_form = output, .bias = bias, .layout = layout};
            CAPTURE(sided.name());
            check(sided);
          }
        }
      }
    }
  }
}

}  // namespace cgfac::test
