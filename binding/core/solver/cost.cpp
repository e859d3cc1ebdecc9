#include "core/solver/cost.h"

#include <algorithm>

#include "core/operator/fisher_operator.h"
#include "core/operator/gram_matrices.h"

namespace cgfac::cost {
namespace {

constexpr double double_flop = 2.2;      // a flop of a float64 product
constexpr double byte = 10;              // a byte that a pass over a vector moves
constexpr double pair_element = 400;     // of an iteration in the tridiagonal basis
constexpr double vector_update = 100;    // an element of a vector update in weight space
constexpr double call = 3e4;             // a call into BLAS, however small
constexpr double reduction_calls = 4e5;  // those of getting into the tridiagonal bases and back
constexpr double pass_calls = 1e4;       // the passes of an iteration there

struct Sizes {
  double m;
  double n;
  double q = 0;
  double p = 0;
  explicit Sizes(const FisherBlock& block)
      : m(static_cast<double>(block.rows())), n(static_cast<double>(block.cols())) {
    const ProjectedShape projected(block, gram_forms(block));
    q = static_cast<double>(projected.q);
    p = static_cast<double>(projected.p);
  }
};

// of forming a side's symmetric matrix; one that is given has no rows
double symmetric(const Side& side) {
  const auto rows = static_cast<double>(side.count());
  const auto d = static_cast<double>(side.dimension());
  return rows * d * std::min(rows, d);
}

// The two passes over v and the symmetric matrices, which every solution in Gram space pays.
double passes(const FisherBlock& block, const Sizes& size) {
  return symmetric(block.input) + symmetric(block.output) + (4 * std::min(size.q, size.p) * size.m * size.n) +
         (12 * byte * size.m * size.n);
}

// dsyevd, and dsytrd with dorgtr: slower per flop the smaller the matrix
double eigen(double n) {
  return (28 * n * n * n) + (7000 * n * n);
}
double tridiagonalisation(double n) {
  return (12 * n * n * n) + (2500 * n * n);
}

// both sides at the same time, on two threads at least
template <typename Cost>
double both_sides(const Sizes& size, Cost cost) {
  return 2 * std::max(cost(size.q), cost(size.p));
}

// two changes of basis, float32
double changes(const Sizes& size) {
  return 4 * size.q * size.p * (size.q + size.p);
}

}  // namespace

double plain_iterations(const FisherBlock& block, int iterations) {
  const Sizes size(block);
  return iterations * ((2 * call) + (double_flop * 2 * size.q * size.p * (size.q + size.p)));
}

double tridiagonal_iterations(const FisherBlock& block, int iterations) {
  const Sizes size(block);
  return reduction_calls + both_sides(size, tridiagonalisation) + changes(size) +
         (iterations * (pass_calls + (pair_element * size.q * size.p)));
}

double gram_cg(const FisherBlock& block, int iterations) {
  return passes(block, Sizes(block)) +
         std::min(plain_iterations(block, iterations), tridiagonal_iterations(block, iterations));
}

double weight_cg(const FisherBlock& block, int iterations) {
  const Sizes size(block);
  const auto applications = static_cast<std::size_t>(std::max(iterations, 1));
  return weight_space_flops(block, cheapest_forms(block, applications), applications) +
         (iterations * 5 * vector_update * size.m * size.n);
}

double exact(const FisherBlock& block) {
  const Sizes size(block);
  return passes(block, size) + both_sides(size, eigen) + changes(size);
}

}  // namespace cgfac::cost
