#include "layers/models/lstm.h"

#include "layers/functions/feature_rows.h"

namespace actgrad {

LstmPredictor::LstmPredictor(std::int64_t layers, std::int64_t units) : units_(units) {
  const auto append = [this](const std::string& name, Parameter& parameter, const Shape& shape, std::int64_t fan_in) {
    parameter.shape = shape;
    parameter.init = Init::uniform_fan_in;
    parameter.fan_in = fan_in;
    add(name, parameter);
  };
  for (std::int64_t i = 0; i < layers; ++i) {
    Layer& layer = layers_.emplace_back();
    const std::string name = "lstm" + std::to_string(i + 1) + ".";
    append(name + "input", layer.input, {4 * units, i == 0 ? 1 : units}, units);
    append(name + "hidden", layer.hidden, {4 * units, units}, units);
    append(name + "bias", layer.bias, {4 * units}, units);
  }
  append("fc.weight", weight_, {1, units}, units);
  append("fc.bias", bias_, {1}, units);
}

Variable LstmPredictor::forward(Pass& pass, const Variable& x) {
  const Tensor& moments = x.value();
  const std::int64_t sequences = moments.dim(1);
  const Variable none(Tensor::zeros({units_, sequences}, moments.dtype(), moments.device()));
  std::vector<LstmState> states(layers_.size(), LstmState{none, none});
  for (std::int64_t t = 0; t < moments.dim(0); ++t) {
    Variable below(moments.slice(t, t + 1).reshape({1, sequences}));
    for (std::size_t i = 0; i < states.size(); ++i) {
      const Layer& layer = layers_[i];
      const Variable gates = feature_linear(pass, {{layer.input.variable, below}, {layer.hidden.variable, states[i].h}},
                                            layer.bias.variable);
      states[i] = lstm(pass, gates, states[i].c, /*forget_bias=*/0);
      below = states[i].h;
    }
  }
  return feature_linear(pass, {{weight_.variable, states.back().h}}, bias_.variable);
}

}  // namespace actgrad
