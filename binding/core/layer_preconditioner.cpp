#include "core/layer_preconditioner.h"

#include <optional>

#include "core/error.h"

namespace cgfac {

FisherBlock fisher_block(const LayerShape& shape, const Batch& batch) {
  const auto input_rows = static_cast<double>(batch.inputs.rows);
  const auto output_rows = static_cast<double>(batch.output_grads.rows);
  const double reduction = shape.loss_reduction == LossReduction::mean ? input_rows : 1;  // g carries 1/B
  return {.input = {.rows = batch.inputs, .homogeneous = shape.bias, .scale = 1 / input_rows},
          .output = {.rows = batch.output_grads, .homogeneous = false, .scale = reduction * reduction / output_rows},
          .layout = shape.layout};
}

RecordedBatch::RecordedBatch(const LayerShape& shape, const Batch& batch)
    : inputs_(batch.inputs.elements().begin(), batch.inputs.elements().end()),
      output_grads_(batch.output_grads.elements().begin(), batch.output_grads.elements().end()),
      block_(fisher_block(shape,
                          {.inputs = {inputs_.data(), batch.inputs.rows, batch.inputs.cols},
                           .output_grads = {output_grads_.data(), batch.output_grads.rows, batch.output_grads.cols}})) {
  (void)traces(block_);
}

void LayerPreconditioner::record(const Batch& batch) {
  batch_ = std::make_shared<const RecordedBatch>(shape_, batch);
}

std::shared_ptr<const RecordedBatch> LayerPreconditioner::batch() const {
  if (!batch_) throw expected(ErrorCode::no_record, "a batch from record()", "precondition", "none");
  return batch_;
}

CgFacSummary LayerPreconditioner::precondition(const RecordedBatch& batch, const WeightView<const float>& v,
                                               const WeightView<float>& out, const CancelFlag* cancel) {
  const FisherBlock& block = batch.block();
  CgFacOptions options = options_.cg_fac;
  options.start_scaling = options_.warm_start == WarmStart::scaled ? StartScaling::optimal : StartScaling::plain;
  std::optional<WeightView<const float>> x0;
  if (options_.warm_start != WarmStart::none && has_previous_)
    x0 = block.view(std::span<const float>(previous_.span(block.size())));

  const CgFacSummary summary = cg_fac(block, options_.damping, v, x0, out, options, workspace_, cancel, nullptr);
  if (summary.cg.reason == CgReason::cancelled || options_.warm_start == WarmStart::none) return summary;
  has_previous_ = summary.cg.reason == CgReason::converged || summary.cg.reason == CgReason::max_iterations;
  if (has_previous_) copy(out, block.view(previous_.span(block.size())));
  return summary;
}

void LayerPreconditioner::reset() {
  batch_.reset();
  has_previous_ = false;
}

}  // namespace cgfac
