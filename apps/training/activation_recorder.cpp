#include "apps/training/activation_recorder.h"

#include "core/options.h"
#include "kernels/unit_variance.h"

namespace actgrad {

ActivationRecorder::ActivationRecorder(const Model& model, std::int64_t steps_per_epoch) {
  const std::vector<WeightedLayer*>& all = model.weighted_layers();
  if (all.size() > 1) layers_.assign(all.begin() + 1, all.end());
  const auto layers = std::ssize(layers_);
  now_ = Tensor::zeros({layers, 3}, DType::float64, model.parameters().device());
  series_ = Tensor::zeros({steps_per_epoch, layers, 3}, DType::float64, model.parameters().device());
}

void ActivationRecorder::on_input(const WeightedLayer& layer, const Tensor& x) {
  for (std::int64_t i = 0; i < std::ssize(layers_); ++i) {
    if (layers_[static_cast<std::size_t>(i)] != &layer) continue;
    Tensor row = now_.view(3 * i, {3});
    kernels::unit_variance(x, row);
  }
}

void ActivationRecorder::end_step(std::int64_t step, double) {
  series_.slice(step, step + 1).reshape(now_.shape()).copy_from(now_);
}

std::string ActivationRecorder::csv_header() const {
  std::string text = "epoch,step";
  for (const WeightedLayer* layer : layers_)
    for (const char* what : {"mean", "smallest", "largest"}) text += "," + layer->name() + " " + what;
  return text + "\n";
}

std::string ActivationRecorder::csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const {
  const std::vector<double> values = series_.slice(first, last).to_vector<double>();
  const std::size_t columns = 3 * layers_.size();
  std::string text;
  for (std::int64_t step = first; step < last; ++step) {
    text += std::to_string(epoch) + "," + std::to_string(step + 1);
    for (std::size_t c = 0; c < columns; ++c)
      text += "," + to_text(OptionValue(values[static_cast<std::size_t>(step - first) * columns + c]));
    text += "\n";
  }
  return text;
}

}  // namespace actgrad
