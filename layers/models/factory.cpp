// Models by name.
#include <functional>
#include <sstream>

#include "layers/model.h"
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
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const bool digits = !part.empty() && part.size() <= 6 && part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(part) == 0)
      throw UserError("--hidden: '" + text + "' is not a list of sizes such as 256,128");
    sizes.push_back(std::stoll(part));
  }
  return sizes;
}

Entry resnet(std::int64_t blocks) {
  const std::string depth = std::to_string(6 * blocks + 2);
  return {"resnet" + depth,
          "CIFAR ResNet-" + depth + ", 3x3 convolutions, option-A shortcuts (He et al. 2016, section 4.2)",
          {},
          [blocks](const InputSpec& input, const Options&) { return std::make_unique<CifarResNet>(blocks, input); }};
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> list = {
      {"lenet5",
       "LeNet-5 with ReLU and max pooling (LeCun et al. 1998)",
       {},
       [](const InputSpec& input, const Options&) { return std::make_unique<LeNet5>(input); }},
      resnet(3),
      resnet(5),
      resnet(7),
      resnet(9),
      resnet(18),
      {"mlp",
       "multilayer perceptron with ReLU",
       {{.name = "hidden",
         .fallback = std::string("256,128"),
         .help = "sizes of the hidden layers; '' for a linear model"}},
       [](const InputSpec& input, const Options& options) {
         return std::make_unique<Mlp>(input, parse_sizes(options.text("hidden")));
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
