// The tasks on which learned optimizers are compared, with the learning rates that were found best for Adam (HyperAdam,
// section 5, and its published code).
#pragma once

#include <string>
#include <vector>

#include "apps/training/command_line.h"

namespace actgrad {

struct Task {
  std::string name;  // "mlp-sigmoid"
  std::string help;

  // A network of images …
  std::string data = {}, model = {};  // "mnist", "mlp"
  GivenOptions model_options = {};
  double pixel_offset = 0;  // pixels in [0, 1], less this

  // … or one that predicts sine waves.
  std::int64_t lstm_layers = 0;
  double noise = 0;  // standard deviation

  struct TunedRate {
    std::int64_t steps;
    double lr;
  };
  std::vector<TunedRate> adam = {};  // by the number of steps, ascending
};

const std::vector<Task>& tasks();
std::vector<std::string> task_names();
// Throws UserError, naming the nearest, for a name that is not there.
const Task& find_task(const std::string& name);

// Adam's tuned rate for a training of so many steps: that of the longest training that is no longer, else of the
// shortest. nullptr where none is known.
const Task::TunedRate* tuned_rate(const Task& task, std::int64_t steps);

}  // namespace actgrad
