#pragma once

#include <span>

namespace cgfac {

/// What normalises the columns of a matrix: a number for each column. No scale is 1, no offset 0.
struct ColumnStatistics {
  std::span<const float> mean;
  std::span<const float> variance;
  std::span<const float> scale;
  std::span<const float> offset;
  double epsilon;
};

/// out ← (x − μ) · s/√(σ² + ε) + o for each row of x, as many numbers as there are means; the factor of a column is
/// computed in double precision and rounded. The same bits for any number of threads. `out` may be x.
void batch_normalization(const ColumnStatistics& of, std::span<const float> x, std::span<float> out);

}  // namespace cgfac
