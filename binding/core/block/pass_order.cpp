#include "core/block/pass_order.h"

#include <algorithm>
#include <cmath>

#include "core/block/passes.h"
#include "core/threads/parallel.h"

namespace cgfac {

double panel_scale(const Side& side, FactorForm form) {
  return form == FactorForm::panel ? std::sqrt(side.scale) : 1;
}

bool project_output_first(const FisherBlock& block) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const double output_first = product_flops(block.output.count(), n, m + block.input.count());
  const double input_first = product_flops(block.input.count(), m, n + block.output.count());
  return output_first == input_first ? block.layout == KernelLayout::in_out : output_first < input_first;
}

bool expand_output_first(const FisherBlock& block) {
  const std::size_t m = block.rows();
  const std::size_t n = block.cols();
  const double output_first = product_flops(m, block.input.count(), block.output.count() + n);
  const double input_first = product_flops(block.output.count(), n, block.input.count() + m);
  return output_first == input_first ? block.layout == KernelLayout::out_in : output_first < input_first;
}

std::size_t chunk_of(std::size_t extent, std::size_t width, std::size_t scratch) {
  const std::size_t fitting = scratch / width;
  return fitting >= extent ? extent : std::max(fitting / smallest_chunk * smallest_chunk, smallest_chunk);
}

std::size_t pass_scratch(const FisherBlock& block, const BlockForms& forms, std::size_t limit) {
  if (!forms.panels()) return 0;
  const std::size_t m_half = block.rows() * block.input.count();
  const std::size_t n_half = block.cols() * block.output.count();
  const std::size_t ideal =
      std::max(project_output_first(block) ? n_half : m_half, expand_output_first(block) ? m_half : n_half);
  const std::size_t least = smallest_chunk * std::max(block.input.count(), block.output.count());
  return std::max(least, std::min(ideal, limit));
}

}  // namespace cgfac
