#include "core/tape.h"

#include <algorithm>

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
  watch(variable, std::move(backward));
  return variable;
}

std::vector<Variable> Tape::record(std::vector<Tensor> outputs, BackwardOfSeveral backward) {
  std::vector<Variable> variables;
  Record record{{}, std::move(backward)};
  for (Tensor& output : outputs) {
    variables.emplace_back(std::move(output), /*requires_grad=*/true);
    record.outputs.push_back(variables.back().gradient());
  }
  records_.push_back(std::move(record));
  return variables;
}

void Tape::watch(const Variable& variable, Backward observer) {
  records_.push_back({{variable.gradient()}, [observer = std::move(observer)](const std::vector<Tensor>& gradients) {
                        observer(gradients.front());
                      }});
}

bool Tape::Record::reached() const {
  return std::any_of(outputs.begin(), outputs.end(), [](const Gradient& output) { return output.written(); });
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
    if (!record.reached()) continue;
    std::vector<Tensor> gradients;
    for (const Gradient& output : record.outputs) gradients.push_back(output.value());
    record.backward(gradients);
  }
}

}  // namespace actgrad
