// What a forward pass carries along, and who may watch it.
#pragma once

#include "core/step_value.h"
#include "core/tape.h"
#include "kernels/conv2d.h"

namespace actgrad {

class WeightedLayer;

// What an optimizer that wants activations implements. Layers call it in training mode only, once per use in a forward
// or backward pass. A tensor given must not be kept: its bytes may be reused.
class Probe {
 public:
  virtual ~Probe() = default;
  // x: the layer's input, (rows, in) or (N, H, W, C).
  virtual void on_input(const WeightedLayer& layer, const Tensor& x) { (void)layer, (void)x; }
  // Whether on_output_gradient is to be called. Where it is not, layers may fuse with what follows them and skip work.
  virtual bool wants_output_gradients() const { return false; }
  // dy: the gradient of the loss (mean over the batch) with respect to the layer's output, same leading dimensions.
  virtual void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) { (void)layer, (void)dy; }
};

struct Pass {
  Tape* tape = nullptr;  // null: no gradients are wanted
  bool training = false;
  // Of several passes of the same batch within a training step: whether this is the one whose loss counts, and that
  // moves running statistics.
  bool primary = true;
  bool samples_labels = false;  // the loss is that of labels drawn from the model's own predictions
  Probe* probe = nullptr;
  kernels::ConvEngine conv_engine = kernels::ConvEngine::automatic;
  // Of dropout and of sampled labels: the seed, the training step's first stream, and how many of its streams are
  // taken. Each dropout layer takes the next one. Every micro-batch of the step starts where the one before cannot
  // reach; several passes of the same one have the same masks.
  std::uint64_t seed = 0;
  StepValue<std::uint64_t> dropout_first = {};
  std::uint64_t dropout_offset = 0;

  // Whether a function of these variables must record itself.
  template <class... Variables>
  bool records(const Variables&... inputs) const {
    return tape && (inputs.requires_grad() || ...);
  }
};

}  // namespace actgrad
