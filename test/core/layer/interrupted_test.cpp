// Calls that end in the middle, because memory is refused or a flag is set, at one allocation after another: a call
// that is made again gives what it would have given, and a step that is rolled back has not been.
#include <doctest/doctest.h>

#include <new>
#include <optional>

#include "core/layer/layer.h"
#include "core/threads/cancel.h"
#include "support/allocations.h"
#include "support/for_each_variant.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

enum class Interruption { memory, flag };

// Whether a call was interrupted at its allocation after so many others; it must end by the exception that belongs to
// the interruption, or, with the flag, well.
template <typename Call>
bool interrupted(Interruption interruption, long after, const Call& call) {
  CancelFlag flag = false;
  bool reached = false;
  const CancelScope scope(&flag);
  const AtAllocation there(after, [&] {
    reached = true;
    if (interruption == Interruption::memory) throw std::bad_alloc();
    flag = true;
  });
  try {
    call();
  } catch (const std::bad_alloc&) {
  } catch (const Cancelled&) {
  }
  return reached;
}

// Rows in number, few enough that those of the next step need more memory.
RandomLayer data(std::size_t rows) {
  return {.shape = {.in_features = 24, .out_features = 9, .bias = true}, .input_rows = rows, .output_rows = rows};
}

const FactorOptions factor{.decay = 0.9, .rank = 6, .panel_rows = 5, .window = 30, .dense_dimension = 12};

std::vector<float> solution(Layer& layer, const RandomLayer& rows) {
  std::vector<float> x(rows.size());
  const FisherBlock shape = shape_block(rows.shape);
  (void)layer.precondition(layer.batch(), shape.view(std::span<const float>(rows.v)), shape.view(std::span(x)), nullptr,
                           nullptr);
  return x;
}

std::vector<float> own_solution(Layer& layer, const StepRows& rows) {
  std::vector<float> x(rows.batch.size());
  const Destination out{.out = shape_block(rows.batch.shape).view(std::span(x))};
  (void)layer.natural_gradient(rows.batch.batch(), rows.loss(), out, nullptr, nullptr);
  return x;
}

// For each variant and each allocation of the second call, where there is a first one.
template <typename Begin, typename Call, typename Compare>
void interrupt_everywhere(const Begin& begin, const Call& call, const Compare& compare) {
  for_each_variant(factor, [&](LayerOptions options) {
    options.warm_start = options.method == Method::cg ? WarmStart::previous : WarmStart::none;
    for (const Interruption interruption : {Interruption::memory, Interruption::flag}) {
      CAPTURE(static_cast<int>(interruption));
      long after = 0;
      for (bool reached = true; reached; ++after) {
        CAPTURE(after);
        Layer layer(data(8).shape, options);
        Layer undisturbed(data(8).shape, options);
        begin(layer);
        begin(undisturbed);
        reached = interrupted(interruption, after, [&] { call(layer); });
        compare(layer, undisturbed);
      }
      CHECK(after > 1);
    }
  });
}

}  // namespace

TEST_CASE("interrupted: a solution is as if it had been asked for once") {
  const RandomLayer first = data(8);
  const RandomLayer second = data(19);
  const auto begin = [&](Layer& layer) {
    layer.record_batch(first.batch());
    (void)solution(layer, first);
    layer.record_batch(second.batch());
  };
  const auto compare = [&](Layer& layer, Layer& undisturbed) {
    const bool solved = layer.state().previous != undisturbed.state().previous;  // the flag was set too late
    if (solved) (void)solution(undisturbed, second);
    CHECK(solution(layer, second) == solution(undisturbed, second));
    CHECK(same_bits(layer.state(), undisturbed.state()));
  };
  interrupt_everywhere(begin, [&](Layer& layer) { (void)solution(layer, second); }, compare);
}

TEST_CASE("interrupted: averages take a borrowed batch in once") {
  const StepRows first(data(8), 1);
  const StepRows second(data(19), 2);
  const auto begin = [&](Layer& layer) { (void)own_solution(layer, first); };
  const auto compare = [&](Layer& layer, Layer& undisturbed) {
    if (layer.state().batches != undisturbed.state().batches) (void)own_solution(undisturbed, second);
    CHECK(same_bits(layer.state(), undisturbed.state()));
    CHECK(own_solution(layer, second) == own_solution(undisturbed, second));
    CHECK(same_bits(layer.state(), undisturbed.state()));
  };
  interrupt_everywhere(begin, [&](Layer& layer) { (void)own_solution(layer, second); }, compare);
}

TEST_CASE("interrupted: a step that is rolled back has not been") {
  const auto prepare = [](Layer& layer, std::size_t rows, std::uint64_t seed) {
    StepRows(data(rows), seed).record(layer);
    layer.refresh();
    return direction(layer);
  };
  const auto begin = [&](Layer& layer) {
    (void)prepare(layer, 8, 1);
    layer.settle();
  };
  const auto compare = [&](Layer& layer, Layer& undisturbed) {
    layer.roll_back();
    CHECK(same_bits(layer.state(), undisturbed.state()));
    CHECK(prepare(layer, 19, 3) == prepare(undisturbed, 19, 3));
    layer.settle();
    undisturbed.settle();
    CHECK(same_bits(layer.state(), undisturbed.state()));
  };
  interrupt_everywhere(begin, [&](Layer& layer) { (void)prepare(layer, 19, 2); }, compare);
}
