// evaluate: loss and accuracy of a safetensors file on a test set.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/training/command_line.h"
#include "apps/training/run_config.h"
#include "apps/training/trainer.h"
#include "apps/training/training_options.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "kernels/parallel.h"
#include "kernels/precision.h"

namespace actgrad {
namespace {

// The options of train that matter here too.
const std::vector<std::string> shared = {"model",  "data",    "data-dir",  "test-samples",
                                         "device", "threads", "precision", "conv"};

bool is_shared(const std::string& name) {
  if (std::find(shared.begin(), shared.end(), name) != shared.end()) return true;
  for (const std::string& model : model_names())
    if (find_option(model_options(model), name)) return true;
  return false;
}

CommandLine command_line() {
  CommandLine line;
  line.program = "evaluate";
  line.usage = "evaluate RUN_DIR [options]\n       evaluate --model NAME --weights FILE [options]";
  line.description =
      "Prints loss and accuracy on a test set: of the last weights of a run, or of any safetensors file.";
  for (CommandLineGroup& group : training_option_groups()) {
    std::erase_if(group.options, [](const CommandLineOption& entry) { return !is_shared(entry.option.name); });
    if (!group.options.empty()) line.groups.push_back(group);
  }
  line.groups.push_back({"Evaluation",
                         {{.option = {"weights", std::string(), "safetensors file with PyTorch's names"},
                           .placeholder = "FILE",
                           .default_text = "RUN_DIR/model.safetensors"},
                          {.option = Option{"batch-size", test_batch_size, "images per batch"}.range(1, 1e7)},
                          {.option = {"logits", std::string(),
                                      "write the logits of all test images, tensor \"logits\" (images, classes)"},
                           .placeholder = "FILE"},
                          {.option = {"json", false, "print JSON"}, .action = true},
                          {.option = {"help", false, "print this, and stop"}, .action = true}}});
  return line;
}

// The logits of all test images, collected batch by batch.
class Logits {
 public:
  Logits(std::int64_t images, std::int64_t classes, DType dtype) : all_(Tensor::empty({images, classes}, dtype)) {}
  void add(const Tensor& batch) {
    all_.slice(filled_, filled_ + batch.dim(0)).copy_from(batch);
    filled_ += batch.dim(0);
  }
  void write(const std::string& path) const { write_tensor_file(path, {{{"logits", all_}}, {}}); }

 private:
  Tensor all_;
  std::int64_t filled_ = 0;
};

int evaluate_file(const RunConfig& config, const std::string& weights, std::int64_t batch_size,
                  const std::string& logits_file, bool json) {
  kernels::set_threads(static_cast<int>(config.run.integer("threads")));
  kernels::set_matrix_precision(config.matrix_precision());
  const Dataset data = load_dataset(config.data_name(), config.run.text("data-dir"));
  const ImageSet test = first_images(data.test, config.run.integer("test-samples"));
  const auto model =
      make_model(config.model_name(), input_spec(data), config.dtype(), 0, config.model, config.device());
  refuse_single_images(*model, config.model, "test", test.size(), batch_size, "--batch-size or --test-samples");
  model->load(weights);

  Logits logits(logits_file.empty() ? 0 : test.size(), data.classes, config.dtype());
  const auto collect = [&](const Tensor& batch) {
    if (!logits_file.empty()) logits.add(batch);
  };
  const Evaluation result = *evaluate(*model, test, data, config.conv_engine(), {}, collect, batch_size);
  if (!logits_file.empty()) logits.write(logits_file);

  if (json) {
    const nlohmann::ordered_json report = {
        {"model", config.model_name()}, {"weights", weights},       {"data", data.name},
        {"images", test.size()},        {"test_loss", result.loss}, {"test_accuracy", result.accuracy}};
    std::printf("%s\n", report.dump(2).c_str());
  } else {
    std::printf("%s on %s (%lld test images): loss %.4f, accuracy %.2f%%\n", weights.c_str(), data.name.c_str(),
                static_cast<long long>(test.size()), result.loss, result.accuracy);
  }
  return 0;
}

int evaluate_program(const std::vector<std::string>& arguments) {
  const CommandLine line = command_line();
  std::vector<std::string> words;
  const GivenOptions given = line.parse(arguments, words);
  Options own;
  {
    OptionTable table;
    for (const CommandLineOption& entry : line.groups.back().options) table.push_back(entry.option);
    own = Options(table);
  }
  GivenOptions of_model;
  for (const GivenOption& option : given) {
    if (own.contains(option.name))
      own.set_text(option.name, option.text);
    else
      of_model.push_back(option);
  }
  if (own.flag("help")) return std::fputs(line.help().c_str(), stdout), 0;

  std::string weights = own.text("weights");
  GivenOptions file;
  if (!words.empty()) {
    const std::string& directory = words.front();
    refuse_words({words.begin() + 1, words.end()});
    file = read_config_options((std::filesystem::path(directory) / "config.json").string());
    if (weights.empty()) weights = (std::filesystem::path(directory) / "model.safetensors").string();
  } else if (weights.empty() || !find_given(given, "model")) {
    throw UserError("give a run directory, or --model and --weights (see --help)");
  }
  return evaluate_file(resolve_config(of_model, file), weights, own.integer("batch-size"), own.text("logits"),
                       own.flag("json"));
}

}  // namespace
}  // namespace actgrad

int main(int argc, char** argv) {
  return actgrad::run_program("evaluate", argc, argv, actgrad::evaluate_program);
}
