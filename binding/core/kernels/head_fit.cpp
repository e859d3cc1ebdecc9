#include "core/kernels/head_fit.h"

#include <array>

#include "core/kernels/elementary.h"
#include "core/kernels/pieces.h"
#include "core/linalg/clones.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// Probabilities this near to 0 or 1 are left out. Keras clips at 1e-7, which makes their gradient zero; and float32 has
// 1 − p to 6e-8 only, so that at this distance p − y itself is known to 0.3 %.
constexpr float saturated = 2e-5F;
// What a number costs in flops of a matrix product: 0.6 ns.
constexpr double flops_of_fit = 40;
// That of a number's entropy.
constexpr double flops_of_entropy = 60;

// Σ d², Σ d·e and Σ e² of numbers that all count.
CGFAC_CLONES FitSums sums_of_all(std::size_t count, double weight, const float* p, const float* y, const float* d) {
  double dd = 0;
  double de = 0;
  double ee = 0;
#pragma omp simd reduction(+ : dd, de, ee)
  for (std::size_t i = 0; i < count; ++i) {
    const auto gradient = static_cast<double>(d[i]);
    const double error = weight * (static_cast<double>(p[i]) - static_cast<double>(y[i]));
    dd += gradient * gradient;
    de += gradient * error;
    ee += error * error;
  }
  return {.dd = dd, .de = de, .ee = ee};
}

// The same of those numbers alone whose probability is known, and how many these are.
CGFAC_CLONES FitSums sums_of_known(std::size_t count, double weight, const float* p, const float* y, const float* d,
                                   double* known) {
  double dd = 0;
  double de = 0;
  double ee = 0;
  double all = 0;
#pragma omp simd reduction(+ : dd, de, ee, all)
  for (std::size_t i = 0; i < count; ++i) {
    const double in = p[i] > 1 - saturated || p[i] < saturated ? 0 : 1;
    const auto gradient = in * static_cast<double>(d[i]);
    const double error = in * weight * (static_cast<double>(p[i]) - static_cast<double>(y[i]));
    dd += gradient * gradient;
    de += gradient * error;
    ee += error * error;
    all += in;
  }
  *known += all;
  return {.dd = dd, .de = de, .ee = ee};
}

FitSums operator+(const FitSums& a, const FitSums& b) {
  return {.dd = a.dd + b.dd, .de = a.de + b.de, .ee = a.ee + b.ee};
}

FitSums operator-(const FitSums& a, const FitSums& b) {
  return {.dd = a.dd - b.dd, .de = a.de - b.de, .ee = a.ee - b.ee};
}

bool row_is_saturated(std::span<const float> p, std::span<const float> y) {
  for (std::size_t j = 0; j < p.size(); ++j) {
    if (p[j] > 1 - saturated || (p[j] < saturated && y[j] > 0)) return true;
  }
  return false;
}

void add_row(const HeadNumbers& head, std::size_t row, MatrixView<const float> gradient, HeadFit& fit) {
  const std::size_t width = head.probabilities.cols;
  const std::span<const float> p = head.probabilities.rows_from(row, 1).elements();
  const std::span<const float> y = head.targets.rows_from(row, 1).elements();
  const float* const d = gradient.rows_from(row, 1).data;
  const auto weight = static_cast<double>(head.weights[row * head.weights.size() / head.probabilities.rows]);
  const FitSums all = sums_of_all(width, weight, p.data(), y.data(), d);
  switch (head.distribution) {
    case Distribution::gaussian:
      fit.compared = fit.compared + all;
      fit.count += width;
      return;
    case Distribution::categorical:
      if (row_is_saturated(p, y)) {
        fit.left_out = fit.left_out + all;
      } else {
        fit.compared = fit.compared + all;
        fit.count += width;
      }
      return;
    case Distribution::bernoulli:
      double known = 0;
      const FitSums kept = sums_of_known(width, weight, p.data(), y.data(), d, &known);
      fit.compared = fit.compared + kept;
      fit.left_out = fit.left_out + (all - kept);
      fit.count += static_cast<std::size_t>(known);
      return;
  }
}

// Σ of −y ln y, and of −(1 − y) ln(1 − y) where `both`, over what is between 0 and 1; how many these are goes to
// `between`.
CGFAC_CLONES double entropy_of(std::size_t count, bool both, const float* y, double* between) {
  double sum = 0;
  double inside = 0;
  const float other = both ? 1 : 0;
#pragma omp simd reduction(+ : sum, inside)
  for (std::size_t i = 0; i < count; ++i) {
    const bool in = y[i] > 0 && y[i] < 1;
    const float target = in ? y[i] : 0.5F;
    const float own = target * elementary::log(target);
    const float rest = other * (1 - target) * elementary::log1p(-target);
    sum -= in ? static_cast<double>(own) + static_cast<double>(rest) : 0;
    inside += in ? 1 : 0;
  }
  *between += inside;
  return sum;
}

}  // namespace

HeadFit fit_head(const HeadNumbers& head, MatrixView<const float> gradient) {
  const std::size_t rows = head.probabilities.rows;
  const double flops = flops_of_fit * static_cast<double>(head.probabilities.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  std::array<HeadFit, most_pieces> parts{};
  parallel_for(pieces, flops, [&](std::size_t piece) {
    for (std::size_t row = cut(rows, piece, pieces); row < cut(rows, piece + 1, pieces); ++row) {
      add_row(head, row, gradient, parts.at(piece));
    }
  });
  HeadFit fit;
  for (const HeadFit& part : parts) {
    fit.compared = fit.compared + part.compared;
    fit.left_out = fit.left_out + part.left_out;
    fit.count += part.count;
  }
  return fit;
}

TargetEntropy target_entropy(const HeadNumbers& head) {
  if (head.distribution == Distribution::gaussian) return {.sum = 0, .soft = true};
  const std::size_t rows = head.targets.rows;
  const double flops = flops_of_entropy * static_cast<double>(head.targets.size());
  const std::size_t pieces = flops < worth_pieces ? 1 : most_pieces;
  std::array<double, most_pieces> sums{};
  std::array<double, most_pieces> between{};
  parallel_for(pieces, flops, [&](std::size_t piece) {
    for (std::size_t row = cut(rows, piece, pieces); row < cut(rows, piece + 1, pieces); ++row) {
      const auto weight = static_cast<double>(head.weights[row * head.weights.size() / rows]);
      sums.at(piece) += weight * entropy_of(head.targets.cols, head.distribution == Distribution::bernoulli,
                                            head.targets.rows_from(row, 1).data, &between.at(piece));
    }
  });
  TargetEntropy entropy;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    entropy.sum += sums.at(piece);
    entropy.soft = entropy.soft || between.at(piece) > 0;
  }
  return entropy;
}

}  // namespace cgfac
