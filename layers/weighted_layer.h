// A weighted layer (Linear, Conv2d) shows the optimizer one matrix, [W | b] of shape (out, d [+1]), and answers
// questions about the inputs that it multiplies, so that no optimizer needs to know whether it is a convolution.
#pragma once

#include "layers/module.h"

namespace actgrad {

class WeightedLayer : public Module {
 public:
  const std::string& name() const { return name_; }  // "layer1.0.conv1"

  virtual Parameter& weight() = 0;
  virtual Parameter* bias() = 0;  // nullptr without

  virtual std::int64_t out() const = 0;  // rows of W
  virtual std::int64_t columns()
      const = 0;  // d: inputs per output unit, in (ky, kx, c) order; the bias column is not counted
  // A grouped convolution is `groups` independent matrices of (out/groups, d), one below the other. 1 otherwise.
  virtual std::int64_t groups() const { return 1; }

  // The number of rows a batch presents: samples, or samples · output positions.
  virtual std::int64_t rows(const Tensor& x) const = 0;

  // (groups, d): the mean over the batch's rows of each input squared. AdaAct's statistic (Algorithm 1). The bias
  // column's value would be exactly 1.
  virtual void write_input_second_moment(const Tensor& x, Tensor& result) const = 0;
  Tensor input_second_moment(const Tensor& x) const {
    Tensor result = Tensor::empty({groups(), columns()}, x.dtype(), x.device());
    write_input_second_moment(x, result);
    return result;
  }

  // (groups, d): the mean over the batch's rows of each input. Eva's statistic.
  virtual void write_input_mean(const Tensor& x, Tensor& result) const = 0;

  // d, and one more where the layer has a bias: its input, always 1, is the last column.
  virtual std::int64_t columns_with_bias() const = 0;
  // (groups, n, n), n = columns_with_bias(): the mean over the batch's rows of ã ãᵀ, ã a row with the bias' 1 appended.
  // The factor A of KFAC and FOOF (Eq. (4)).
  virtual void write_input_covariance(const Tensor& x, Tensor& result) const = 0;
  // (groups, out/groups, out/groups): the mean over all rows of dy dyᵀ. KFAC's factor G.
  void write_output_gradient_covariance(const Tensor& dy, Tensor& result) const;
  // (N, groups · n): the mean of each sample's rows ã, the groups' side by side. The rows of A in KFAC-K2.
  virtual void write_input_means(const Tensor& x, Tensor& result) const = 0;
  // (N, out): the mean of dy over each sample's rows.
  void write_output_gradient_means(const Tensor& dy, Tensor& result) const;

 protected:
  // For forward(): show the probe, in training mode, what goes in and the gradient of what comes out.
  void show_input(Pass& pass, const Variable& x) const {
    if (pass.training && pass.probe) pass.probe->on_input(*this, x.value());
  }
  static bool shows_output(const Pass& pass) {
    return pass.training && pass.probe && pass.probe->wants_output_gradients();
  }
  Variable show_output(Pass& pass, Variable y) const {
    if (shows_output(pass) && pass.records(y))
      pass.tape->watch(y, [this, probe = pass.probe](const Tensor& dy) { probe->on_output_gradient(*this, dy); });
    return y;
  }

 private:
  friend class Model;  // gives the name
  std::string name_;
};

}  // namespace actgrad
