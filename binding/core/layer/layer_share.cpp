// A layer whose batch several ranks have: what travels from one rank to another, and what becomes of it there.
#include <algorithm>

#include "core/base/error.h"
#include "core/layer/layer.h"

namespace cgfac {
namespace {

std::vector<float> copied(std::span<const float> numbers) {
  return {numbers.begin(), numbers.end()};
}

}  // namespace

void Layer::record(const RecordedShare& share) {
  own_rows().append(share);
  fresh_ = false;
}

ShareCounts Layer::share_counts() const {
  std::vector<std::size_t> part_rows;
  const LayerRows rows = rows_->layer_rows(part_rows);
  const RecordedShare share = rows_->share();
  return {.inputs = share.inputs.size(),
          .loss_grads = share.loss_grads.size(),
          .output_grads = share.output_grads.size(),
          .input_rows = side_count(shape_, rows, LayerSide::input),
          .output_rows = side_count(shape_, rows, LayerSide::output),
          .samples = share.samples,
          .parts = (4 * share.parts.size()) + share.fisher_parts.size(),
          .refreshes = input_.refreshes()};
}

SideShare Layer::side_share(LayerSide side, ShareForm form, const DrawRange& range) {
  const KindOfLayer& kind = kind_of(shape_);
  const FactorOptions& own = options_.factor;
  return cgfac::side_share(shape_, *rows_, side,
                           side == LayerSide::input ? kind.input_factor(shape_, own) : kind.output_factor(shape_, own),
                           form, range);
}

void Layer::take_shares(std::span<const SideShare> input, std::span<const SideShare> output) {
  auto united = std::make_shared<UnitedSides>();
  const bool homogeneous = input_.homogeneous();
  united->input = unite(input_, input_.dimension() - (homogeneous ? 1 : 0), homogeneous, LayerSide::input, input);
  united->output = unite(output_, output_.dimension(), false, LayerSide::output, output);
  united_ = std::move(united);
}

PreparedDirection Layer::direction() const {
  PreparedDirection direction{.bound = bound_};
  switch (direction_) {
    case Direction::none:
      throw expected(ErrorCode::no_record, "a direction from prepare()", "the step", "none");
    case Direction::zero:
      return direction;
    case Direction::formed:
      direction.form = PreparedDirection::Form::formed;
      direction.numbers = copied(x_.held(shape_.size()));
      return direction;
    case Direction::rows:
      break;
  }
  direction.form = PreparedDirection::Form::rows;
  direction.rows = direction_rows_;
  direction.scale = direction_scale_;
  direction.numbers = copied(z_input_.held(direction_rows_ * input_.dimension()));
  const std::span<const float> outputs = z_output_.held(direction_rows_ * output_.dimension());
  direction.numbers.insert(direction.numbers.end(), outputs.begin(), outputs.end());
  return direction;
}

void Layer::take_direction(const PreparedDirection& direction) {
  const std::span<const float> numbers = direction.numbers;
  const std::size_t inputs = direction.rows * input_.dimension();
  const std::size_t outputs = direction.rows * output_.dimension();
  const auto require = [&](std::size_t size) {
    if (numbers.size() == size) return;
    throw expected(ErrorCode::shape_mismatch, "the direction of a layer like this one", "a direction", "another");
  };
  switch (direction.form) {
    case PreparedDirection::Form::zero:
      require(0);
      direction_ = Direction::zero;
      break;
    case PreparedDirection::Form::formed:
      require(shape_.size());
      std::ranges::copy(numbers, x_.span(shape_.size()).data());
      direction_ = Direction::formed;
      break;
    case PreparedDirection::Form::rows:
      require(inputs + outputs);
      std::ranges::copy(numbers.first(inputs), z_input_.span(inputs).data());
      std::ranges::copy(numbers.subspan(inputs), z_output_.span(outputs).data());
      direction_ = Direction::rows;
      break;
  }
  direction_rows_ = direction.rows;
  direction_scale_ = direction.scale;
  bound_ = direction.bound;
  solution_ = Solution::none;
}

}  // namespace cgfac
