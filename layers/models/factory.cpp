// Models by name.
#include <functional>

#include "core/split.h"
#include "layers/model.h"
#include "layers/models/cnn.h"
#include "layers/models/densenet.h"
#include "layers/models/lenet5.h"
#include "layers/models/mlp.h"
#include "layers/models/resnet.h"

namespace actgrad {
namespace {

using Maker = std::function<std::unique_ptr<Module>(const InputSpec&, const Options&)>;

struct Entry {
  std::string name, help;
  OptionTable options;
  Maker make;
};

std::vector<std::int64_t> parse_sizes(const std::string& text) {
  std::vector<std::int64_t> sizes;
  if (text.empty()) return sizes;
  for (const std::string& part : split(text)) {
    const bool digits = !part.empty() && part.size() <= 6 && part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(part) == 0)
      throw UserError("--hidden: '" + text + "' is not a list of sizes such as 256,128");
    sizes.push_back(std::stoll(part));
  }
  return sizes;
}

std::optional<kernels::Activation> parse_activation(const Options& options) {
  using kernels::Activation;
  return choice<std::optional<Activation>>(
      options, "activation",
      {{"relu", std::nullopt}, {"sigmoid", Activation::sigmoid}, {"tanh", Activation::tanh}, {"elu", Activation::elu}});
}

Entry resnet(std::int64_t depth, const std::string& kind, const ResNetPlan& plan) {
  return {"resnet" + std::to_string(depth),
          "ResNet-" + std::to_string(depth) + " " + kind,
          {{.name = "batch-norm", .fallback = true, .help = "batch normalisation behind each convolution"},
           Option{"weight-init", std::string(plan.init == Init::uniform_fan_in ? "uniform" : "kaiming-normal"),
                  "N(0, 2/fan-in), or PyTorch's U(-1, 1)/sqrt(fan-in), a sixth of its variance"}
               .one_of({"kaiming-normal", "uniform"})},
          [plan](const InputSpec& input, const Options& options) {
            ResNetPlan chosen = plan;
            chosen.batch_norm = options.flag("batch-norm");
            chosen.init =
                choice<Init>(options, "weight-init",
                             {{"kaiming-normal", Init::kaiming_normal_fan_in}, {"uniform", Init::uniform_fan_in}});
            return std::make_unique<ResNet>(chosen, input);
          }};
}

Entry cifar_resnet(std::int64_t blocks) {
  return resnet(6 * blocks + 2, "for CIFAR, 16 to 64 channels, option-A shortcuts (He et al. 2016, section 4.2)",
                ResNet::cifar(blocks));
}

Entry imagenet_resnet(std::int64_t depth, const std::vector<std::int64_t>& blocks) {
  return resnet(depth, "for small images, 64 to 512 channels, 1x1 shortcuts (He et al. 2016, Table 1)",
                ResNet::imagenet(blocks));
}

Entry cnn(int stages, const std::string& layers) {
  return {"cnn" + std::to_string(stages),
          "small network that learned optimizers are tried on: " + layers + " (HyperAdam)",
          {{.name = "batch-norm",
            .fallback = false,
            .help = "standardise every activation over the batch behind each convolution"},
           Option{"dropout", 0.0, "share of the hidden layers' units that are dropped"}.range_open_high(0, 1)},
          [stages](const InputSpec& input, const Options& options) {
            return std::make_unique<Cnn>(Cnn::Plan{stages, options.flag("batch-norm"), 1 - options.number("dropout")},
                                         input);
          }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      {"lenet5",
       "LeNet-5 with ReLU and max pooling (LeCun et al. 1998)",
       {},
       [](const InputSpec& input, const Options&) { return std::make_unique<LeNet5>(input); }},
      cifar_resnet(3),
      cifar_resnet(5),
      cifar_resnet(7),
      cifar_resnet(9),
      cifar_resnet(18),
      imagenet_resnet(18, {2, 2, 2, 2}),
      imagenet_resnet(34, {3, 4, 6, 3}),
      {"densenet121",
       "DenseNet-121 for small images, growth 32 (Huang et al. 2017)",
       {},
       [](const InputSpec& input, const Options&) {
         return std::make_unique<DenseNet>(std::vector<std::int64_t>{6, 12, 24, 16}, 32, input);
       }},
      cnn(1, "two convolutions, one linear layer"),
      cnn(2, "four convolutions, two linear layers"),
      {"mlp",
       "multilayer perceptron",
       {{.name = "hidden",
         .fallback = std::string("256,128"),
         .help = "sizes of the hidden layers; '' for a linear model"},
        Option{"activation", std::string("relu"), "function between the layers"}.one_of(
            {"relu", "sigmoid", "tanh", "elu"})},
       [](const InputSpec& input, const Options& options) {
         return std::make_unique<Mlp>(input, parse_sizes(options.text("hidden")), parse_activation(options));
       }},
  };
  return list;
}

const Entry& entry(const std::string& name) {
  for (const Entry& candidate : entries())
    if (candidate.name == name) return candidate;
  throw UserError(unknown_name("model", name, model_names()));
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Entry& candidate : entries()) names.push_back(candidate.name);
  return names;
}

std::string model_help(const std::string& name) {
  return entry(name).help;
}
OptionTable model_options(const std::string& name) {
  return entry(name).options;
}

std::unique_ptr<Model> make_model(const std::string& name, const InputSpec& input, DType dtype, std::uint64_t seed,
                                  const Options& options, Device device) {
  return std::make_unique<Model>(entry(name).make(input, options), input, dtype, seed, device);
}

std::unique_ptr<Model> make_model(const std::string& name, const InputSpec& input, DType dtype, std::uint64_t seed) {
  return make_model(name, input, dtype, seed, Options(model_options(name)));
}

}  // namespace actgrad
