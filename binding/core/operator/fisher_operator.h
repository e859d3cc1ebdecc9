#pragma once

#include <cstddef>
#include <span>

#include "core/base/buffer.h"
#include "core/block/damping.h"
#include "core/block/fisher_block.h"

namespace cgfac {

/// (F + λI) in weight space, float32 data, one product FV for each iteration of conjugate gradients. Where the rows are
/// few, `GramOperator` (gram_operator.h) gives the same iterates in float64 for the price of ONE such product, without
/// touching the weights in between: it is the path that a solve takes wherever it is the cheaper by the estimates of
/// solver/cost.h.
///
///   FV(v) = P_g M_g (P_gᵀ v P_a) M_a P_aᵀ + λ v
///
/// with (P, M) = (panel, I) for a side used through its rows and (I, factor) for a side used through its covariance.
/// Both panels: FV(v) = gᵀ (((g v) aᵀ) a)/(B N_g) + λ v, two products with the m × n matrix of about 2·N·m·n flops
/// each, the rest N × N × (m or n). A covariance costs N·d² flops once and d products per element of v at each
/// application; the forms are those with the fewest flops for the `applications` that are to come. A factor that is
/// given is used where it lies.
///
/// Source: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218, 2021, §3 (the matrix-free
/// product FV); we add the damping to the operator, and the covariance forms.
class FisherOperator {
 public:
  /// Memory of the products, kept from one operator to the next.
  struct Workspace {
    Buffer<float> scratch;            // of project and expand
    Buffer<float> image;              // q = (F + λI) p, of the loop
    Buffer<float> projected;          // P_gᵀ v P_a
    Buffer<float> multiplied;         // … after the covariance of a side
    Buffer<float> input_covariance;   // A, where it has to be formed
    Buffer<float> output_covariance;  // G

    /// What it holds, in bytes.
    [[nodiscard]] std::size_t bytes() const;
  };

  /// Borrows the block's sides and the workspace; forms the covariances it will use.
  FisherOperator(const FisherBlock& block, const BlockTraces& traces, double damping, std::size_t applications,
                 Workspace& workspace);

  /// What becomes of products that come near the ends of float32, or leave it.
  enum class Range {
    as_is,        ///< they are as float32 makes them
    comfortable,  ///< NeedsScaling is thrown
  };
  /// out ← (F + λI) v; `out` may be `v` itself. Throws Error(not_finite) and leaves `out` alone where v, the rows or a
  /// product is not finite.
  void apply(const WeightView<const float>& v, const WeightView<float>& out, Range range = Range::as_is) const;

  // LinearOperator of conjugate_gradient: vectors are size() numbers, the kernel and after it the bias. Nothing is put
  // off; the image of the last direction is kept in the workspace.
  using Vector = std::span<float>;
  [[nodiscard]] double norm2(const Vector& x) const;
  [[nodiscard]] double advance_direction(const Vector& r, double beta, const Vector& p) const;
  [[nodiscard]] double update_residual(double alpha, const Vector& p, const Vector& r) const;
  void advance_solution(double alpha, const Vector& p, const Vector& x) const;
  void finish() const {}
  [[nodiscard]] double extent() const { return 0; }  // ‖x‖ would be a pass of its own

 private:
  // M_g (P_gᵀ v P_a) M_a
  MatrixView<const float> curvature(const WeightView<const float>& v) const;
  // out ← (F + λI) v, given M_g (P_gᵀ v P_a) M_a and a bound of its norm
  void image(const WeightView<const float>& v, MatrixView<const float> c, double norm_c,
             const WeightView<float>& out) const;

  const FisherBlock& block_;
  const BlockTraces& traces_;
  double damping_;
  BlockForms forms_;
  Workspace& workspace_;
  std::span<float> scratch_;
  MatrixView<const float> input_covariance_;
  MatrixView<const float> output_covariance_;
};

/// Flops of `applications` products FV with these forms, the covariances' own included.
[[nodiscard]] double weight_space_flops(const FisherBlock& block, const BlockForms& forms, std::size_t applications);
/// The forms of the fewest flops; a given factor has but one.
[[nodiscard]] BlockForms cheapest_forms(const FisherBlock& block, std::size_t applications);

}  // namespace cgfac
