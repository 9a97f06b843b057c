// Weight decay on weights alone (--decay-1d off): every optimizer treats the two groups of parameters as its definition
// says for a parameter with weight decay and for one without.
#include "optim/optimizer.h"
#include "test/operation_case.h"
#include "test/optim/golden_network.h"

using namespace actgrad;

namespace {

constexpr double lr = 0.05;

Options options_of(const std::string& optimizer, bool decay_1d, double weight_decay) {
  Options options(optimizer_options(optimizer));
  options.set("decay-1d", decay_1d).set("weight-decay", weight_decay);
  if (options.contains("delay-decay")) options.set("delay-decay", false);
  return options;
}

// Three steps with random gradients and the activations of the first weights, so that parameters do not influence each
// other. `skip`: a parameter that gets no gradient.
std::unique_ptr<Model> trained(const std::string& model_name, const std::string& optimizer_name, const Options& options,
                               std::size_t skip) {
  auto model = make_model(model_name, {16, 16, 3, 10}, DType::float64, 1);
  auto optimizer = make_optimizer(optimizer_name, *model, options);
  Tensor parameters = model->parameters().values();
  const Tensor first = parameters.clone();
  for (std::uint64_t step = 0; step < 3; ++step) {
    optimizer->prepare(lr);
    optimizer->begin_pass(0);
    Tape tape;
    Pass pass{.tape = &tape, .training = true, .probe = optimizer.get()};
    const Tensor before = parameters.clone();
    parameters.copy_from(first);
    model->forward(pass, test::random_tensor({4, 16, 16, 3}, DType::float64, 100 + step));
    parameters.copy_from(before);
    for (std::size_t i = 0; i < model->parameters().list().size(); ++i) {
      const Parameter& parameter = *model->parameters().list()[i];
      if (i != skip)
        parameter.variable.gradient_target().tensor.copy_from(
            test::random_tensor(parameter.shape, DType::float64, 1000 * step + i));
    }
    optimizer->end_passes();
    if (optimizer->refreshes()) optimizer->refresh();
    optimizer->update();
    model->parameters().clear_gradients();
  }
  return model;
}

}  // namespace

TEST_CASE("without decay-1d, weights decay and vectors move as with weight decay 0") {
  const test::OneThread one_thread;
  // Biases beside the weights, scales and shifts of batch normalisation; a weight, nothing, a scale without gradient.
  using Case = std::pair<const char*, std::size_t>;
  const auto [model, skip] = GENERATE(Case("lenet5", 0), Case("lenet5", 1000), Case("resnet20", 4));
  for (const std::string& name : optimizer_names()) {
    CAPTURE(model, name, skip);
    if (!find_option(optimizer_options(name), "weight-decay")) continue;  // learned ones know no weight decay
    const auto weights_only = trained(model, name, options_of(name, false, 0.1), skip);
    const auto all = trained(model, name, options_of(name, true, 0.1), skip);
    const auto none = trained(model, name, options_of(name, true, 0), skip);
    for (std::size_t i = 0; i < all->parameters().list().size(); ++i) {
      const auto values = [&](const Model& network) {
        return network.parameters().list()[i]->value().to_vector<double>();
      };
      const Parameter& parameter = *all->parameters().list()[i];
      CAPTURE(parameter.name);
      const bool decays = parameter.shape.rank() >= 2;
      CHECK(values(*weights_only) == values(decays ? *all : *none));
      if (i != skip) CHECK(values(*all) != values(*none));
    }
  }
}
