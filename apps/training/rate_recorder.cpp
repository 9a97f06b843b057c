#include "apps/training/rate_recorder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/options.h"

namespace actgrad {
namespace {

void append(std::string& text, double value) {
  text += "," + to_text(OptionValue(value));
}

}  // namespace

RateRecorder::RateRecorder(Optimizer& optimizer, std::int64_t steps_per_epoch)
    : optimizer_(optimizer), inputs_(0), lr_(static_cast<std::size_t>(steps_per_epoch) + 1) {
  const std::vector<NamedTensor> rates = optimizer.rates();
  if (rates.empty()) throw UserError("--record rates: only adaact (without full covariance) has one rate per input");
  for (const NamedTensor& layer : rates) inputs_ += layer.tensor.numel();
  series_ = Tensor::empty({steps_per_epoch + 1, inputs_}, rates[0].tensor.dtype(), rates[0].tensor.device());
}

void RateRecorder::start(std::int64_t step, double lr) {
  first_step_ = optimizer_.steps() == 0;
  keep(step, lr);
}

void RateRecorder::end_step(std::int64_t step, double lr) {
  keep(step + 1, lr);
}

void RateRecorder::keep(std::int64_t row, double lr) {
  lr_[static_cast<std::size_t>(row)] = lr;
  std::int64_t first = row * inputs_;
  for (const NamedTensor& layer : optimizer_.rates()) {
    series_.view(first, layer.tensor.shape()).copy_from(layer.tensor);
    first += layer.tensor.numel();
  }
}

std::string RateRecorder::csv_header() const {
  return "epoch,step,lr,rate increase,rate increase without lr,rate change,rate change without lr\n";
}

std::string RateRecorder::csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const {
  const std::vector<double> p = series_.slice(first, last + 1).to_doubles();
  std::string text;
  for (std::int64_t step = first; step < last; ++step) {
    const double before_lr = lr_[static_cast<std::size_t>(step)], lr = lr_[static_cast<std::size_t>(step) + 1];
    text += std::to_string(epoch) + "," + std::to_string(step + 1);
    append(text, lr);
    if (first_step_ && step == 0) {
      text += ",,,,\n";
      continue;
    }
    const double* const before = p.data() + (step - first) * inputs_;
    const double* const now = before + inputs_;
    double increase = -std::numeric_limits<double>::infinity(), increase_p = increase, change = 0, change_p = 0;
    for (std::int64_t j = 0; j < inputs_; ++j) {
      const double difference = lr * now[j] - before_lr * before[j], difference_p = now[j] - before[j];
      increase = std::max(increase, difference);
      increase_p = std::max(increase_p, difference_p);
      change += std::abs(difference);
      change_p += std::abs(difference_p);
    }
    for (const double value : {increase, increase_p, change, change_p}) append(text, value);
    text += "\n";
  }
  return text;
}

std::string PreconditionerRecorder::csv_header() const {
  std::string text = "epoch,step";
  for (const NamedTensor& layer : optimizer_.rates())
    for (std::int64_t i = 0; i < layer.tensor.numel(); ++i) text += "," + layer.name + " " + std::to_string(i);
  return text + "\n";
}

std::int64_t PreconditionerRecorder::rows(std::int64_t first, std::int64_t last) const {
  return first < last && last == steps_per_epoch_ ? 1 : 0;
}

std::string PreconditionerRecorder::csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const {
  if (rows(first, last) == 0) return "";
  std::string text = std::to_string(epoch) + "," + std::to_string(last);
  for (const NamedTensor& layer : optimizer_.rates())
    for (const double rate : layer.tensor.to_doubles()) append(text, rate);
  return text + "\n";
}

}  // namespace actgrad
