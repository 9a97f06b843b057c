#include "optim/optimizer.h"

#include <algorithm>

namespace actgrad {

OptionTable common_optimizer_options() {
  return {
      Option{"decay-1d", true, "weight decay also on one-dimensional parameters: biases, BatchNorm's scales and shifts"}
          .from("published code, CIFAR")};
}

Optimizer::Optimizer(Model& model, const Options& options) : model_(model), parameters_(model.parameters()) {
  if (options.contains("decay-1d")) decay_1d_ = options.flag("decay-1d");
}

std::vector<Optimizer::DecaySpan> Optimizer::decay_spans() const {
  const std::int64_t boundary = decay_1d_ ? parameters_.flat_size() : parameters_.vectors_begin();
  std::vector<DecaySpan> spans;
  const auto add = [&](std::int64_t begin, std::int64_t end, bool decays) {
    if (begin < end) spans.push_back({{begin, end}, decays});
  };
  for (const Span& span : parameters_.spans_with_gradient()) {
    add(span.begin, std::min(span.end, boundary), true);
    add(std::max(span.begin, boundary), span.end, false);
  }
  return spans;
}

std::size_t Optimizer::state_bytes() {
  std::size_t bytes = 0;
  for (const NamedTensor& entry : state()) bytes += entry.tensor.bytes();
  return bytes;
}

}  // namespace actgrad
