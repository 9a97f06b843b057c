#include "apps/training/activation_recorder.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/atomic_file.h"
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

void ActivationRecorder::end_step(std::int64_t step) {
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

ActivationFile::ActivationFile(const std::string& path, const ActivationRecorder& recorder, std::int64_t epochs,
                               std::int64_t steps)
    : path_(path), recorder_(recorder), written_(steps) {
  std::string text = recorder.csv_header();
  if (epochs > 0 || steps > 0) {
    std::istringstream lines(read_file(path));
    std::string line;
    std::getline(lines, line);
    if (line + "\n" != text) throw UserError(path + ": not the activations of this run");
    while (std::getline(lines, line)) {
      std::int64_t epoch = 0, step = 0;
      char comma = 0;
      std::istringstream(line) >> epoch >> comma >> step;
      if (epoch <= epochs || (epoch == epochs + 1 && step <= steps)) text += line + "\n";
    }
  }
  write_file_atomically(path, text);
}

void ActivationFile::append(std::int64_t epoch, std::int64_t steps, bool complete) {
  std::ofstream file(path_, std::ios::app);
  file << recorder_.csv_rows(epoch, written_, steps);
  file.close();
  if (!file) throw UserError("cannot write " + path_ + ": " + std::strerror(errno));
  written_ = complete ? 0 : steps;
}

}  // namespace actgrad
