// A model is one vector with names: all parameters lie in one flat buffer, all gradients in another, and a Parameter
// is a named view of both. An elementwise optimizer is then one kernel over one array, a checkpoint one block.
// Views start at multiples of 64 bytes (the convolution libraries want that); the gaps hold zeros and are neither
// parameters nor part of any norm.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tape.h"

namespace actgrad {

// How a tensor looks in files that others read (safetensors with PyTorch's conventions).
enum class FileLayout {
  as_is,         // the same order as in memory
  ohwi_to_oihw,  // convolution weights: memory (O, KH, KW, I), files (O, I, KH, KW)
};

// How a parameter gets its first values. `fan_in` is the number of inputs of one output unit.
enum class Init {
  zeros,
  ones,
  uniform_fan_in,         // uniform in ±1/√fan_in: PyTorch's default for Linear and Conv2d, weights and biases
  kaiming_normal_fan_in,  // normal with standard deviation √(2/fan_in)
};

struct Parameter {
  std::string name;  // "layer1.0.conv1.weight", set when the model is assembled
  Shape shape;       // in memory order
  FileLayout layout = FileLayout::as_is;
  Init init = Init::zeros;
  std::int64_t fan_in = 1;
  Variable variable;         // views into the flat buffers, set when the model is assembled
  std::int64_t offset = -1;  // of the first element in the flat buffers

  const Tensor& value() const { return variable.value(); }
  Tensor grad() const { return variable.grad(); }  // undefined without a gradient
  std::int64_t numel() const { return shape.numel(); }
};

// Half-open range of elements of the flat buffers.
struct Span {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

class ParameterSet {
 public:
  ParameterSet() = default;
  // Lays the given parameters out, allocates both buffers (zeros) and points the parameters' variables into them. The
  // parameters must outlive the set. dtype: float32 or float64.
  // In the buffers, weights (two or more dimensions) lie first, vectors (one: biases, normalisation's scales and
  // shifts) behind them, in order otherwise: an optimizer that treats the two differently still works on long spans.
  ParameterSet(std::vector<Parameter*> parameters, DType dtype, Device device);

  const std::vector<Parameter*>& list() const { return parameters_; }  // as they were given
  const Tensor& values() const { return values_; }                     // (flat_size)
  const Tensor& gradients() const { return gradients_; }               // (flat_size); where has_grad() is false, stale
  std::int64_t flat_size() const { return values_.numel(); }
  std::int64_t vectors_begin() const { return vectors_begin_; }  // the weights' part of the buffers ends here
  std::int64_t count() const;                                    // number of scalar parameters, gaps not counted
  DType dtype() const { return values_.dtype(); }
  Device device() const { return values_.device(); }

  // A zeroed buffer laid out like values(): optimizer state.
  Tensor zeros_like() const { return Tensor::zeros(values_.shape(), dtype(), device()); }
  // `parameter`'s part of such a buffer, in the parameter's shape.
  Tensor view(const Tensor& buffer, const Parameter& parameter) const;

  // Forgets all gradients: the next backward pass overwrites them.
  void clear_gradients();
  // The parameters that have a gradient, as maximal runs of neighbours (gaps between them included):
  // usually one span, the whole buffer.
  std::vector<Span> spans_with_gradient() const;

 private:
  std::vector<Parameter*> parameters_;
  std::vector<Parameter*> layout_;  // the same, as they lie in the buffers
  std::int64_t vectors_begin_ = 0;
  Tensor values_;
  Tensor gradients_;
};

}  // namespace actgrad
