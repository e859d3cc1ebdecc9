#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "core/threads/parallel.h"

namespace cgfac {

/// Runs body(i) for every layer of a list on the pool threads, those with the most work first. Every layer ends before
/// the first error of the list is thrown.
template <typename Body>
void side_by_side(std::span<const double> costs, const Body& body) {
  std::vector<std::size_t> order(costs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::size_t i) { return costs[i]; });
  std::vector<std::exception_ptr> errors(costs.size());
  parallel_for(order.size(), [&](std::size_t place) {
    try {
      body(order[place]);
    } catch (...) {
      errors[order[place]] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace cgfac
