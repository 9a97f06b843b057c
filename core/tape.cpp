#include "core/tape.h"

namespace actgrad {

struct Variable::Node {
  Tensor value;
  Tensor gradient;             // storage; allocated at the first contribution unless given
  bool requires_grad = false;
  bool has_gradient = false;   // something was written since the last clear
};

Variable::Variable(Tensor value, bool requires_grad)
    : node_(std::make_shared<Node>(Node{std::move(value), {}, requires_grad, false})) {}

Variable::Variable(Tensor value, Tensor gradient_storage)
    : node_(std::make_shared<Node>(Node{std::move(value), std::move(gradient_storage), true, false})) {
  ACTGRAD_CHECK(node_->value.shape() == node_->gradient.shape() && node_->value.dtype() == node_->gradient.dtype(),
                "gradient storage must look like the value");
}

const Tensor& Variable::value() const {
  ACTGRAD_CHECK(node_, "undefined variable");
  return node_->value;
}

bool Variable::requires_grad() const { return node_ && node_->requires_grad; }
bool Variable::has_grad() const { return node_ && node_->has_gradient; }
Tensor Variable::grad() const { return has_grad() ? node_->gradient : Tensor(); }

void Variable::clear_grad() {
  if (node_) node_->has_gradient = false;
}

GradientTarget Variable::gradient_target() const {
  ACTGRAD_CHECK(requires_grad(), "variable needs no gradient");
  Node& node = *node_;
  if (!node.gradient) node.gradient = Tensor::empty(node.value.shape(), node.value.dtype(), node.value.device());
  const Write mode = node.has_gradient ? Write::accumulate : Write::overwrite;
  node.has_gradient = true;
  return {node.gradient, mode};
}

Variable Tape::record(Tensor output, Backward backward) {
  Variable variable(std::move(output), /*requires_grad=*/true);
  records_.push_back({variable, std::move(backward)});
  return variable;
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
    if (record.output.has_grad()) record.backward(record.output.grad());
  }
}

}  // namespace actgrad
