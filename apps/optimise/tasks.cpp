#include "apps/optimise/tasks.h"

#include <algorithm>

namespace actgrad {
namespace {

using Rates = std::vector<Task::TunedRate>;

// Rates of Adam for `layers` hidden layers.
Rates mlp_rates(const std::string& activation, int layers) {
  if (layers == 1) {
    if (activation == "sigmoid") return {{100, 0.03125}, {2000, 0.015625}, {10000, 0.0078125}};
    if (activation == "relu") return {{100, 0.0220971}, {2000, 0.015625}};
    return {{100, activation == "elu" ? 0.0220971 : 0.0110485}};
  }
  if (activation != "sigmoid") return {};
  if (layers <= 3) return {{100, 0.03125}};
  if (layers <= 6) return {{100, 0.015625}};
  if (layers == 7) return {{100, 0.0110485}};
  if (layers == 8) return {{100, 0.0004883}};
  if (layers == 9) return {{100, 0.0006905}, {10000, 0.015625}};
  return {{100, 0.006905}};
}

Task mlp(const std::string& activation, int layers) {
  std::string hidden = "20";
  for (int i = 1; i < layers; ++i) hidden += ",20";
  return {
      .name = "mlp-" + activation + (layers == 1 ? "" : "-l" + std::to_string(layers)),
      .help = "MNIST, " + std::to_string(layers) + " hidden layer" + (layers == 1 ? "" : "s") + " of 20, " + activation,
      .data = "mnist",
      .model = "mlp",
      .model_options = {{"hidden", hidden}, {"activation", activation}},
      .adam = mlp_rates(activation, layers)};
}

Rates cnn_rates(int number, bool cifar, bool plain) {
  if (number == 1 && !cifar) return plain ? Rates{{100, 0.015625}, {10000, 0.0055625}} : Rates{{100, 0.015625}};
  if (number == 1) return plain ? Rates{{100, 0.01125}, {10000, 0.0078125}} : Rates{{100, 0.0078125}};
  if (!cifar) return plain ? Rates{{100, 0.0055243}, {10000, 0.00255243}} : Rates{{100, 0.0055243}};
  return plain ? Rates{{100, 0.0039062}, {2000, 0.0023062}, {10000, 0.0039062}} : Rates{{100, 0.0039062}};
}

Task cnn(int number, bool cifar, const std::string& variant) {
  Task task{.name = "cnn" + std::to_string(number) + (cifar ? "-cifar10" : "-mnist"),
            .help = std::string(cifar ? "CIFAR-10" : "MNIST") + ", CNN-" + std::to_string(number),
            .data = cifar ? "cifar10" : "mnist",
            .model = "cnn" + std::to_string(number),
            .pixel_offset = cifar ? 0.5 : 0,
            .adam = cnn_rates(number, cifar, variant.empty())};
  if (variant.empty()) return task;
  task.name += "-" + variant;
  task.help += variant == "bn" ? " with batch normalisation" : " with dropout";
  task.model_options = variant == "bn" ? GivenOptions{{"batch-norm", "true"}} : GivenOptions{{"dropout", "0.5"}};
  return task;
}

Task sine(const std::string& variant, std::int64_t layers, double noise, const Rates& rates) {
  return {.name = "sine" + variant,
          .help = "the next of 10 samples of a sine wave with noise " + std::string(noise < 0.1 ? "0.01" : "0.1") +
                  ", " + std::to_string(layers) + " LSTM layer" + (layers == 1 ? "" : "s") + " of 20",
          .lstm_layers = layers,
          .noise = noise,
          .adam = rates};
}

}  // namespace

const std::vector<Task>& tasks() {
  static const std::vector<Task> list = [] {
    std::vector<Task> tasks;
    for (int layers = 1; layers <= 10; ++layers)
      for (const char* activation : {"sigmoid", "relu", "elu", "tanh"}) tasks.push_back(mlp(activation, layers));
    for (int number : {1, 2})
      for (bool cifar : {false, true})
        for (const char* variant : {"", "bn", "dropout"}) tasks.push_back(cnn(number, cifar, variant));
    tasks.push_back(sine("", 1, 0.1, {}));  // the published code has Adagrad's rate alone
    tasks.push_back(sine("-small-noise", 1, 0.01, {{100, 0.03125}}));
    tasks.push_back(sine("-l2", 2, 0.1, {{100, 0.0220971}}));
    return tasks;
  }();
  return list;
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Task& task : tasks()) names.push_back(task.name);
  return names;
}

const Task& find_task(const std::string& name) {
  for (const Task& task : tasks())
    if (task.name == name) return task;
  const std::string nearest = nearest_name(name, task_names());
  throw UserError("unknown task '" + name + "'" + (nearest.empty() ? "" : ": did you mean '" + nearest + "'?") +
                  " (--list tasks shows all)");
}

const Task::TunedRate* tuned_rate(const Task& task, std::int64_t steps) {
  if (task.adam.empty()) return nullptr;
  const auto longer =
      std::find_if(task.adam.begin(), task.adam.end(), [&](const Task::TunedRate& rate) { return rate.steps > steps; });
  return longer == task.adam.begin() ? &task.adam.front() : &*(longer - 1);
}

}  // namespace actgrad
