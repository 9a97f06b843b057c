#include "apps/optimise/starts.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"

namespace actgrad {
namespace {

constexpr const char* checkpoint_kind = "actgrad starts 2";  // the number changes with the format

std::string number(double value) {
  return to_text(OptionValue(value));
}

// The columns of starts.csv; those of accuracies only where there are any.
struct Column {
  const char* name;
  std::function<double(const StartResult&)> value;
};
std::vector<Column> columns(const Starts& starts) {
  std::vector<Column> list = {{"final_loss", &StartResult::final_loss}, {"last_loss", &StartResult::last_loss}};
  if (starts.results.empty() || !starts.results.front().accuracy) return list;
  list.push_back({"top1", [](const StartResult& start) { return start.accuracy->top1; }});
  list.push_back({"top2", [](const StartResult& start) { return start.accuracy->top2; }});
  list.push_back({"test_loss", [](const StartResult& start) { return start.accuracy->loss; }});
  return list;
}

Tensor column(std::int64_t n, const std::function<double(std::size_t)>& value) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(value(static_cast<std::size_t>(i)));
  return Tensor::from({n}, values);
}

}  // namespace

void RunningMean::add(double value, std::int64_t n) {
  const double before = value - mean;
  mean += before / static_cast<double>(n);
  squares += before * (value - mean);
}

double RunningMean::standard_error(std::int64_t n) const {
  return n < 2 ? 0 : std::sqrt(squares / static_cast<double>(n - 1) / static_cast<double>(n));
}

void Starts::add(const StartResult& result, const std::vector<double>& losses) {
  results.push_back(result);
  curve.resize(losses.size());
  for (std::size_t step = 0; step < losses.size(); ++step) curve[step].add(losses[step], count());
}

RunningMean Starts::mean(const std::function<double(const StartResult&)>& of) const {
  RunningMean mean;
  std::int64_t n = 0;
  for (const StartResult& start : results) mean.add(of(start), ++n);
  return mean;
}

std::string curve_csv(const Starts& starts) {
  std::string text = "step,mean,se,n\n";
  for (std::size_t step = 0; step < starts.curve.size(); ++step)
    text += std::to_string(step) + "," + number(starts.curve[step].mean) + "," +
            number(starts.curve[step].standard_error(starts.count())) + "," + std::to_string(starts.count()) + "\n";
  return text;
}

std::string starts_csv(const Starts& starts) {
  std::string text = "start";
  for (const Column& column : columns(starts)) text += std::string(",") + column.name;
  text += "\n";
  for (std::int64_t i = 0; i < starts.count(); ++i) {
    text += std::to_string(i);
    for (const Column& column : columns(starts))
      text += "," + number(column.value(starts.results[static_cast<std::size_t>(i)]));
    text += "\n";
  }
  return text;
}

// A mean that is not finite is null, as JSON has no word for it.
std::string summary_json(const OptimiseConfig& config, const Starts& starts, std::int64_t parameters,
                         std::size_t state_bytes) {
  nlohmann::ordered_json json;
  json["task"] = config.task_name();
  json["optim"] = config.optimizer_name();
  json["seed"] = config.run.integer("seed");
  json["parameters"] = parameters;
  json["optimizer_state_bytes"] = state_bytes;
  json["steps"] = config.run.integer("steps");
  json["starts"] = starts.count();
  json["planned_starts"] = config.run.integer("starts");
  for (const Column& column : columns(starts)) {
    const RunningMean mean = starts.mean(column.value);
    json[column.name] = mean.mean;
    json[std::string(column.name) + "_se"] = mean.standard_error(starts.count());
  }
  const auto diverged = [](const StartResult& start) { return !std::isfinite(start.final_loss); };
  json["diverged"] = std::count_if(starts.results.begin(), starts.results.end(), diverged);
  json["train_seconds"] = starts.train_seconds;
  json["elapsed_seconds"] = starts.elapsed_seconds;
  return json.dump(2) + "\n";
}

void save_starts(const std::string& path, const Starts& starts, const OptimiseConfig& config) {
  TensorFile file;
  for (const Column& value : columns(starts))
    file.tensors.push_back(
        {value.name, column(starts.count(), [&](std::size_t i) { return value.value(starts.results[i]); })});
  const std::int64_t steps = std::ssize(starts.curve);
  file.tensors.push_back({"curve.mean", column(steps, [&](std::size_t i) { return starts.curve[i].mean; })});
  file.tensors.push_back({"curve.squares", column(steps, [&](std::size_t i) { return starts.curve[i].squares; })});
  file.metadata = {{"kind", checkpoint_kind},
                   {"identity", nlohmann::json(config.identity()).dump()},
                   {"train_seconds", number(starts.train_seconds)},
                   {"elapsed_seconds", number(starts.elapsed_seconds)}};
  write_tensor_file(path, file, /*checksum=*/true);
}

Starts load_starts(const std::string& path, const OptimiseConfig& config) {
  const TensorFile file = read_tensor_file(path, /*require_checksum=*/true);
  Starts starts;
  try {
    if (file.metadata.at("kind") != checkpoint_kind) throw UserError("of another version");
    if (nlohmann::json::parse(file.metadata.at("identity")) != nlohmann::json(config.identity()))
      throw UserError("of another run");
    const auto values = [&](const std::string& name) {
      const Tensor* tensor = file.find(name);
      if (!tensor) throw UserError("no tensor '" + name + "'");
      return tensor->to_vector<double>();
    };
    const std::vector<double> final_losses = values("final_loss"), last_losses = values("last_loss");
    for (std::size_t i = 0; i < final_losses.size(); ++i)
      starts.results.push_back({final_losses[i], last_losses.at(i), std::nullopt});
    if (file.find("top1")) {
      const std::vector<double> first = values("top1"), second = values("top2"), loss = values("test_loss");
      for (std::size_t i = 0; i < starts.results.size(); ++i)
        starts.results[i].accuracy = Accuracy{first.at(i), second.at(i), loss.at(i)};
    }
    const std::vector<double> means = values("curve.mean"), squares = values("curve.squares");
    for (std::size_t i = 0; i < means.size(); ++i) starts.curve.push_back({means[i], squares.at(i)});
    starts.train_seconds = std::stod(file.metadata.at("train_seconds"));
    starts.elapsed_seconds = std::stod(file.metadata.at("elapsed_seconds"));
  } catch (const std::exception& error) {
    throw UserError(path + ": not the state of this run: " + error.what());
  }
  return starts;
}

}  // namespace actgrad
