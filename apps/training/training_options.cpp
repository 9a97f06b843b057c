#include "apps/training/training_options.h"

#include <algorithm>
#include <cstdlib>

#include "data/dataset.h"
#include "kernels/parallel.h"
#include "layers/model.h"
#include "optim/optimizer.h"

namespace actgrad {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string default_data_directory() {
  const char* directory = std::getenv("ACTGRAD_DATA");
  if (!directory || !*directory) return "data-cache";
  refuse_other_than_utf8("ACTGRAD_DATA", directory);
  return directory;
}

CommandLineGroup model_group() {
  return {"Model",
          {{.option = {"model", std::string("lenet5"), joined(model_names())}, .placeholder = "NAME"},
           {.option = {"init", std::string(), "start from the weights in this safetensors file (PyTorch's names)"},
            .placeholder = "FILE"}}};
}

CommandLineGroup optimizer_group() {
  return {
      "Optimizer",
      {{.option = {"optim", std::string("adaact"), joined(optimizer_names())}, .placeholder = "NAME"},
       {.option = Option{"schedule", std::string("cosine"), "learning rate over the epochs"}.one_of(
            {"cosine", "constant", "multistep"}),
        .aliases = {"lr-scheduler"},
        .default_text = "cosine; learned optimizers: constant"},
       {.option = {"milestones", std::string("100,150"),
                   "multistep: epochs after which the rate is multiplied by gamma"},
        .placeholder = "LIST"},
       {.option = Option{"gamma", 0.1, "multistep: the factor"}.above(0)},
       {.option = Option{"min-lr", 0.0, "cosine: the rate at its end"}.at_least(0)},
       {.option =
            Option{"warmup-epochs", std::int64_t{0}, "let the rate rise linearly in the first N epochs"}.at_least(0)},
       {.option = Option{"warmup-lr", 0.0,
                         "the rate at the beginning of the warm-up; 0: at --schedule-per epoch, "
                         "the first epoch changes nothing"}
                      .at_least(0)},
       {.option = Option{"schedule-per", std::string("epoch"), "how often the rate changes"}.one_of({"epoch", "step"})},
       {.option = Option{"clip-norm", 0.0,
                         "scale the gradients so that the norm of all together is at most this; "
                         "0: leave them"}
                      .at_least(0)}}};
}

CommandLineGroup data_group() {
  return {
      "Data",
      {{.option = {"data", std::string("auto"), joined(dataset_names())},
        .placeholder = "NAME",
        .default_text = "cifar10 if it lies in the data directory, else synthetic"},
       {.option = {"data-dir", default_data_directory(), "where data sets lie (or set ACTGRAD_DATA)"},
        .placeholder = "DIR"},
       {.option = {"augment", false, "random crop and flip"}, .default_text = "as is usual for the data set"},
       {.option = {"shuffle", true, "visit the images in a new random order in each epoch"}},
       {.option = Option{"replace-example", std::int64_t{-1},
                         "put the first test image in the place of training image N (from 0), to see what one example "
                         "changes; -1: none"}
                      .at_least(-1)},
       {.option = Option{"train-samples", std::int64_t{0}, "use only the first N training images; 0: all"}.at_least(0)},
       {.option = Option{"test-samples", std::int64_t{0}, "use only the first N test images; 0: all"}.at_least(0)}}};
}

CommandLineGroup training_group() {
  return {
      "Training",
      {{.option = Option{"epochs", std::int64_t{200}, "passes over the training images"}.range(1, 1e6),
        .aliases = {"epoch"}},
       {.option = Option{"batch-size", std::int64_t{128}, "images per batch"}.range(1, 1e7), .aliases = {"batchsize"}},
       {.option = Option{"accumulate", std::int64_t{1}, "batches per optimizer step"}.range(1, 1e6)},
       {.option = Option{"seed", std::int64_t{0}, "of initialisation, order, augmentation and dropout"}.at_least(0),
        .aliases = {"run"}}}};
}

CommandLineGroup device_group() {
  return {
      "Device",
      {{.option = {"device", std::string("auto"), "auto, cpu, cuda, cuda:N"}, .placeholder = "NAME"},
       {.option = Option{"threads", std::int64_t{kernels::threads()}, "CPU threads"}.range(1, 1024),
        .default_text = "all cores"},
       {.option = Option{"precision", std::string("fp32"),
                         "of all arithmetic; on CUDA also tf32, bf16: factors of matrix products are rounded to it"}
                      .one_of({"fp32", "fp64", "tf32", "bf16"})},
       {.option = Option{"conv", std::string("auto"), "convolution engine"}.one_of(
            {"auto", "im2col", "library", "winograd", "direct"})},
       {.option = {"autotune", false,
                   "CUDA: time the algorithms of each convolution and keep the fastest, instead of cuDNN's estimate"}},
       {.option = {"fast-nondeterministic", false,
                   "CUDA: allow algorithms that add in another order each time; no two runs are the same then"}},
       {.option = {"graph", true, "CUDA: record each kind of step once and replay it"}}}};
}

CommandLineGroup run_group() {
  return {
      "Run",
      {{.option = {"out", std::string(), "run directory"},
        .placeholder = "DIR",
        .default_text = "runs/<model>-<optim>-<data>-<date>"},
       {.option = Option{"save-every", std::int64_t{0}, "keep the weights of every N-th epoch; 0: last and best only"}
                      .at_least(0)},
       {.option = {"record", std::string("nothing"),
                   "activation-variance: how far each hidden layer's activations spread, at every step; "
                   "activation-covariance: its matrix at the beginning, after one epoch and at the end; "
                   "rates: how AdaAct's rates move"},
        .placeholder = "LIST"}}};
}

std::vector<CommandLineGroup> run_groups() {
  return {model_group(), optimizer_group(), data_group(), training_group(), device_group(), run_group()};
}

// "sgd, adam: decays the gradient; adaact: shrinks the weights": what each owner says, once.
std::string merged_help(const std::vector<std::pair<std::string, std::string>>& helps, bool all_owners) {
  std::vector<std::pair<std::string, std::string>> merged;  // help → owners
  for (const auto& [owner, help] : helps) {
    const auto same =
        std::find_if(merged.begin(), merged.end(), [&](const auto& entry) { return entry.first == help; });
    if (same == merged.end())
      merged.emplace_back(help, owner);
    else
      same->second += ", " + owner;
  }
  if (merged.size() == 1 && all_owners) return merged.front().first;
  std::string text;
  for (const auto& [help, owners] : merged) text += (text.empty() ? "" : "; ") + owners + ": " + help;
  return text;
}

}  // namespace

OptionTable run_options() {
  OptionTable table;
  for (const CommandLineGroup& group : run_groups())
    for (const CommandLineOption& entry : group.options) table.push_back(entry.option);
  return table;
}

std::vector<CommandLineOption> merged_options(const std::vector<std::string>& owners,
                                              OptionTable (*table_of)(const std::string&)) {
  struct Use {
    Option option;
    std::vector<std::pair<std::string, std::string>> helps;  // by owner
    std::string defaults;                                    // by owner
    bool defaults_differ = false;
  };
  std::vector<Use> uses;
  std::size_t independent = 0;  // owners that are not made around another one, whose options are theirs too
  for (const std::string& owner : owners) {
    independent += find_option(table_of(owner), "base-optim") == nullptr;
    for (const Option& option : table_of(owner)) {
      auto use = std::find_if(uses.begin(), uses.end(), [&](const Use& u) { return u.option.name == option.name; });
      if (use == uses.end()) use = uses.insert(uses.end(), {option, {}, {}});
      use->helps.emplace_back(owner, option.help);
      use->defaults += (use->defaults.empty() ? "" : ", ") + owner + " " + to_text(option.fallback);
      use->defaults_differ |= option.fallback != use->option.fallback;
    }
  }
  std::vector<CommandLineOption> options;
  for (Use& use : uses) {
    use.option.help = merged_help(use.helps, use.helps.size() == independent);
    options.push_back({.option = use.option, .default_text = use.defaults_differ ? use.defaults : ""});
  }
  return options;
}

std::vector<CommandLineGroup> training_option_groups() {
  std::vector<CommandLineGroup> groups = run_groups();
  for (CommandLineGroup& group : groups) {
    std::vector<CommandLineOption> more;
    if (group.title == "Model") more = merged_options(model_names(), model_options);
    if (group.title == "Optimizer") more = merged_options(optimizer_names(), own_optimizer_options);
    group.options.insert(group.options.begin() + 1, more.begin(), more.end());
  }
  return groups;
}

CommandLineOption training_option(const std::string& name) {
  for (const CommandLineGroup& group : run_groups())
    for (const CommandLineOption& entry : group.options)
      if (entry.option.name == name) return entry;
  ACTGRAD_CHECK(false, "train has no --" + name);
}

}  // namespace actgrad
