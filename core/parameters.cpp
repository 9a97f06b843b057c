#include "core/parameters.h"

#include <algorithm>

namespace actgrad {

ParameterSet::ParameterSet(std::vector<Parameter*> parameters, DType dtype, Device device)
    : parameters_(std::move(parameters)), layout_(parameters_) {
  const auto first_vector =
      std::stable_partition(layout_.begin(), layout_.end(), [](const Parameter* p) { return p->shape.rank() >= 2; });
  const std::int64_t unit = 64 / static_cast<std::int64_t>(size_of(dtype));
  std::int64_t size = 0;
  for (Parameter* parameter : layout_) {
    parameter->offset = size;
    size += (parameter->numel() + unit - 1) / unit * unit;
  }
  vectors_begin_ = first_vector == layout_.end() ? size : (*first_vector)->offset;
  values_ = Tensor::zeros({size}, dtype, device);
  gradients_ = Tensor::zeros({size}, dtype, device);
  for (Parameter* parameter : parameters_)
    parameter->variable = Variable(view(values_, *parameter), view(gradients_, *parameter));
}

std::int64_t ParameterSet::count() const {
  std::int64_t count = 0;
  for (const Parameter* parameter : parameters_) count += parameter->numel();
  return count;
}

Tensor ParameterSet::view(const Tensor& buffer, const Parameter& parameter) const {
  ACTGRAD_CHECK(buffer.numel() == flat_size(), "not a buffer of this parameter set");
  return buffer.view(parameter.offset, parameter.shape);
}

void ParameterSet::clear_gradients() {
  for (Parameter* parameter : parameters_) parameter->variable.clear_grad();
}

std::vector<Span> ParameterSet::spans_with_gradient() const {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < layout_.size(); ++i) {
    if (!layout_[i]->variable.has_grad()) continue;
    const std::int64_t begin = layout_[i]->offset;
    const std::int64_t end = i + 1 < layout_.size() ? layout_[i + 1]->offset : flat_size();
    if (!spans.empty() && spans.back().end == begin)
      spans.back().end = end;
    else
      spans.push_back({begin, end});
  }
  return spans;
}

}  // namespace actgrad
