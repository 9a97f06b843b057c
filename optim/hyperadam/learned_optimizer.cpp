#include "optim/hyperadam/learned_optimizer.h"

#include <algorithm>
#include <cstdio>

#include "embedded/learned_weights.h"
#include "kernels/elementwise.h"

namespace actgrad {
namespace {

TensorFile read_weights(const std::string& rule, const std::string& path) {
  if (!path.empty()) return read_tensor_file(path);
  const std::string_view shipped = embedded::learned_weights(rule + ".safetensors");
  return decode_tensor_file(std::string(shipped), "the library's weights of " + rule);
}

// The rule that a file of metatrain holds, in the reading that it was learned in.
std::unique_ptr<LearnedRule> load_rule(const std::string& name, const std::string& path, DType dtype, Device device) {
  const TensorFile file = read_weights(name, path);
  const auto entry = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  if (entry("optimizer") != name) throw UserError(path + ": not the weights of " + name + ", as metatrain writes them");
  Options options(learned_rule_options(name));
  for (const Option& option : options.table())
    if (const std::string text = entry("option." + option.name); !text.empty()) options.set_text(option.name, text);
  auto rule = make_learned_rule(name, options, dtype, 0, device);
  rule->load(file.tensors, path);
  return rule;
}

}  // namespace

bool is_learned(const std::string& optimizer) {
  const std::vector<std::string> names = learned_rule_names();
  return std::find(names.begin(), names.end(), optimizer) != names.end();
}

// FNV-1a over names and bytes.
std::string learned_weights_id(const std::string& rule, const std::string& path) {
  std::uint64_t id = 14695981039346656037U;
  const auto add = [&id](std::string_view bytes) {
    for (const char byte : bytes) id = (id ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  };
  for (const NamedTensor& entry : read_weights(rule, path).tensors) {
    add(entry.name);
    add({static_cast<const char*>(entry.tensor.raw()), entry.tensor.bytes()});
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

OptionTable LearnedOptimizer::options(const std::string& rule) {
  const bool hyperadam = rule == "hyperadam";
  return {Option{"lr", hyperadam ? 0.005 : 1.0, "learning rate"}.at_least(0).from("HyperAdam's published code"),
          Option{"weights", std::string(), "file of metatrain; empty: the weights that come with the library"}};
}

LearnedOptimizer::LearnedOptimizer(Model& model, const Options& options, const std::string& rule)
    : Optimizer(model),
      rule_(load_rule(rule, options.text("weights"), parameters_.dtype(), parameters_.device())),
      state_(rule_->initial_state(parameters_.count())),
      step_(parameters_.device()),
      gradient_(Tensor::zeros({parameters_.count()}, parameters_.dtype(), parameters_.device())) {}

void LearnedOptimizer::prepare(double lr) {
  Optimizer::prepare(lr);
  step_.set({.lr = lr});
  state_.steps = steps_ - 1;
}

std::vector<NamedTensor> LearnedOptimizer::state() {
  std::vector<NamedTensor> list;
  for (const Variable& tensor : state_.tensors) list.push_back({"state" + std::to_string(list.size()), tensor.value()});
  return list;
}

std::vector<LearnedOptimizer::Run> LearnedOptimizer::runs(bool with_gradient) const {
  std::vector<Run> runs;
  std::int64_t at = 0;
  for (const Parameter* parameter : parameters_.list()) {
    const std::int64_t begin = parameter->offset, end = begin + parameter->numel();
    if (parameter->variable.has_grad() == with_gradient) {
      if (!runs.empty() && runs.back().end == begin && runs.back().at + begin - runs.back().begin == at)
        runs.back().end = end;
      else
        runs.push_back({{begin, end}, at});
    }
    at += parameter->numel();
  }
  return runs;
}

// w ← w − lr·d(g, state). A parameter without gradient stays; as a part of the vector its gradient counts as zero.
void LearnedOptimizer::update() {
  const auto part = [](const Tensor& vector, const Run& run) {
    return vector.slice(run.at, run.at + run.end - run.begin);
  };
  for (const Run& run : runs(/*with_gradient=*/false)) part(gradient_, run).fill_zero();
  const std::vector<Run> moving = runs(/*with_gradient=*/true);
  for (const Run& run : moving) {
    Tensor to = part(gradient_, run);
    kernels::copy(parameters_.gradients().slice(run.begin, run.end), to, Write::overwrite);
  }
  const Tensor d = rule_->direction(gradient_, state_).reshape(gradient_.shape());
  Tensor no_momentum;
  for (const Run& run : moving) {
    Tensor weights = parameters_.values().slice(run.begin, run.end);
    kernels::sgd_step(weights, part(d, run), no_momentum, step_);
  }
}

}  // namespace actgrad
