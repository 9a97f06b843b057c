#include "core/tape.h"

namespace actgrad {

struct Gradient::Node {
  Shape shape;
  DType dtype;
  Device device;
  Tensor tensor;         // allocated at the first contribution unless given
  bool written = false;  // since the last clear
};

Tensor Gradient::value() const {
  return written() ? node_->tensor : Tensor();
}
bool Gradient::written() const {
  return node_ && node_->written;
}

void Gradient::clear() {
  if (node_) node_->written = false;
}

GradientTarget Gradient::target() const {
  ACTGRAD_CHECK(node_, "variable needs no gradient");
  if (!node_->tensor) node_->tensor = Tensor::empty(node_->shape, node_->dtype, node_->device);
  const Write mode = node_->written ? Write::accumulate : Write::overwrite;
  node_->written = true;
  return {node_->tensor, mode};
}

GradientTarget Gradient::target_in_place_of(const Tensor& consumed) const {
  ACTGRAD_CHECK(node_, "variable needs no gradient");
  if (!node_->tensor && consumed.shape() == node_->shape && consumed.dtype() == node_->dtype) node_->tensor = consumed;
  return target();
}

Variable::Variable(Tensor value, bool requires_grad) : value_(std::move(value)) {
  if (requires_grad)
    gradient_.node_ =
        std::make_shared<Gradient::Node>(Gradient::Node{value_.shape(), value_.dtype(), value_.device(), {}, false});
}

Variable::Variable(Tensor value, Tensor gradient_storage) : Variable(std::move(value), true) {
  ACTGRAD_CHECK(value_.shape() == gradient_storage.shape() && value_.dtype() == gradient_storage.dtype(),
                "gradient storage must look like the value");
  gradient_.node_->tensor = std::move(gradient_storage);
}

Variable Tape::record(Tensor output, Backward backward) {
  Variable variable(std::move(output), /*requires_grad=*/true);
  records_.push_back({variable.gradient(), std::move(backward)});
  return variable;
}

void Tape::watch(const Variable& variable, Backward observer) {
  records_.push_back({variable.gradient(), std::move(observer)});
}

void Tape::backward(const std::vector<Seed>& seeds) {
  for (const Seed& seed : seeds) {
    ACTGRAD_CHECK(seed.output.requires_grad(), "seed of a variable that needs no gradient");
    ACTGRAD_CHECK(!seed.output.has_grad(), "two seeds of one variable, or a gradient left from an earlier pass");
    GradientTarget target = seed.output.gradient_target();
    target.tensor.copy_from(seed.gradient);  // a copy: closures may add to it
  }
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    if (record.output.written()) record.backward(record.output.value());
  }
}

}  // namespace actgrad
