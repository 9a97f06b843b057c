// Optimizers against golden values that were computed independently in double (specification, sections 1.6 and 2), and
// the properties that their definitions promise.
#include <cmath>

#include "layers/conv2d.h"
#include "layers/functions/cross_entropy.h"
#include "layers/models/mlp.h"
#include "layers/sequential.h"
#include "optim/optimizer.h"
#include "test/operation_case.h"

using namespace actgrad;

namespace {

// A linear layer without hidden layers: fc1 (classes, inputs) with bias.
std::unique_ptr<Model> linear_model(std::int64_t inputs, std::int64_t outputs, DType dtype) {
  Options options(model_options("mlp"));
  options.set("hidden", "");
  return make_model("mlp", {1, 1, inputs, outputs}, dtype, 1, options);
}

Options with(const std::string& optimizer, const std::vector<std::pair<std::string, OptionValue>>& values) {
  Options options(optimizer_options(optimizer));
  for (const auto& [name, value] : values) options.set(name, value);
  return options;
}

void assign(const Tensor& tensor, const std::vector<double>& values) {
  REQUIRE(tensor.numel() == static_cast<std::int64_t>(values.size()));
  kernels::visit_floating(tensor.dtype(), [&]<class T>() {
    for (std::size_t i = 0; i < values.size(); ++i) tensor.data<T>()[i] = static_cast<T>(values[i]);
  });
}

void assign_gradient(Parameter& parameter, const std::vector<double>& values) {
  assign(parameter.variable.gradient_target().tensor, values);
}

Tensor images(const Shape& shape, DType dtype, const std::vector<double>& values) {
  Tensor x = Tensor::empty(shape, dtype);
  assign(x, values);
  return x;
}

// Shows the optimizer a batch and gives the parameters the stated gradients.
void present(Model& model, Optimizer& optimizer, const Tensor& x) {
  Tape tape;
  Pass pass{.tape = &tape, .training = true, .probe = &optimizer};
  model.forward(pass, x);
}

double tolerance(DType dtype) {
  return dtype == DType::float64 ? 1e-8 : 1e-6;
}

}  // namespace

TEST_CASE("AdaAct: golden values of a linear layer with bias") {
  for (DType dtype : {DType::float64, DType::float32}) {
    INFO(name_of(dtype));
    auto model = linear_model(2, 1, dtype);
    WeightedLayer& layer = *model->weighted_layers()[0];
    assign(layer.weight().value(), {0.5, -0.3});
    assign(layer.bias()->value(), {0.1});
    auto optimizer = make_optimizer("adaact", *model);  // lr .1, wd .002, betas .9 .999, eps 1e-8

    const std::vector<std::vector<double>> batches = {{1, 2, 3, 0}, {0.5, -1, 2, 1}};
    const std::vector<std::vector<double>> gradients = {{0.2, -0.4, 0.1}, {-0.1, 0.3, 0.05}};
    const std::vector<std::vector<double>> expected = {{0.490955728, -0.271655729, 0.089980000},
                                                       {0.488626520, -0.269022773, 0.082593583}};
    for (int t = 0; t < 2; ++t) {
      present(*model, *optimizer, images({2, 1, 1, 2}, dtype, batches[t]));
      assign_gradient(layer.weight(), {gradients[t][0], gradients[t][1]});
      assign_gradient(*layer.bias(), {gradients[t][2]});
      optimizer->step(0.1);
      model->parameters().clear_gradients();
      CHECK(std::abs(test::element(layer.weight().value(), 0) - expected[t][0]) < tolerance(dtype));
      CHECK(std::abs(test::element(layer.weight().value(), 1) - expected[t][1]) < tolerance(dtype));
      CHECK(std::abs(test::element(layer.bias()->value(), 0) - expected[t][2]) < tolerance(dtype));
    }
  }
}

TEST_CASE("SGD, Adam, AdamW, Adan: golden values of a scalar") {
  struct Golden {
    std::string name;
    std::vector<std::pair<std::string, OptionValue>> options;
    double lr;
    std::vector<double> values;
  };
  const std::vector<Golden> cases = {
      {"sgd", {{"momentum", 0.9}, {"weight-decay", 5e-4}}, 0.1, {0.949950000, 0.924857502, 0.872228012}},
      {"sgd",
       {{"momentum", 0.9}, {"weight-decay", 5e-4}, {"nesterov", true}},
       0.1,
       {0.904905000, 0.902278534, 0.824869719}},
      {"adam", {{"weight-decay", 5e-4}}, 1e-3, {0.999000000, 0.998653261, 0.998107848}},
      {"adamw", {{"weight-decay", 1e-2}}, 1e-3, {0.998990000, 0.998634404, 0.998079978}},
      {"adan", {{"weight-decay", 0.02}}, 0.01, {0.989802040, 0.992324268, 0.990023822}},
      {"adan", {{"weight-decay", 0.02}, {"proximal", false}}, 0.01, {0.989800000, 0.992322733, 0.990021828}},
  };
  for (DType dtype : {DType::float64, DType::float32}) {
    for (const Golden& golden : cases) {
      INFO(golden.name << " " << name_of(dtype));
      auto model = linear_model(1, 1, dtype);
      Parameter& weight = model->weighted_layers()[0]->weight();
      assign(weight.value(), {1});
      auto optimizer = make_optimizer(golden.name, *model, with(golden.name, golden.options));
      const double gradients[] = {0.5, -0.2, 0.3};
      for (int t = 0; t < 3; ++t) {
        assign_gradient(weight, {gradients[t]});
        optimizer->step(golden.lr);
        model->parameters().clear_gradients();
        CHECK(std::abs(test::element(weight.value(), 0) - golden.values[t]) < tolerance(dtype));
      }
    }
  }
}

TEST_CASE("a parameter without gradient stays as it is") {
  for (const std::string& name : optimizer_names()) {
    INFO(name);
    auto model = linear_model(2, 1, DType::float32);
    WeightedLayer& layer = *model->weighted_layers()[0];
    auto optimizer = make_optimizer(name, *model);
    const double bias = test::element(layer.bias()->value(), 0), weight = test::element(layer.weight().value(), 0);
    present(*model, *optimizer, images({1, 1, 1, 2}, DType::float32, {1, 2}));
    assign_gradient(layer.weight(), {1, 1});
    optimizer->step(0.1);
    CHECK(test::element(layer.bias()->value(), 0) == bias);
    CHECK(test::element(layer.weight().value(), 0) != weight);
  }
}

TEST_CASE("AdaAct: a dead input gives an update of exactly 0, also with eps = 0") {
  for (DType dtype : {DType::float64, DType::float32}) {
    auto model = linear_model(3, 2, dtype);
    WeightedLayer& layer = *model->weighted_layers()[0];
    auto optimizer = make_optimizer("adaact", *model, with("adaact", {{"eps", 0.0}, {"weight-decay", 0.0}}));
    const double before[] = {test::element(layer.weight().value(), 1), test::element(layer.weight().value(), 4)};
    for (int t = 0; t < 3; ++t) {
      present(*model, *optimizer, images({2, 1, 1, 3}, dtype, {1, 0, 2, -1, 0, 1}));
      assign_gradient(layer.weight(), {1, 0, 2, -1, 0, 1});
      assign_gradient(*layer.bias(), {0, 0});
      optimizer->step(0.1);
      model->parameters().clear_gradients();
    }
    CHECK(test::element(layer.weight().value(), 1) == before[0]);
    CHECK(test::element(layer.weight().value(), 4) == before[1]);
    for (std::int64_t i = 0; i < 6; ++i) CHECK(std::isfinite(test::element(layer.weight().value(), i)));
  }
}

namespace {

// The update of the weight of a fresh AdaAct after one batch, with gradient `g` and no weight decay.
std::vector<double> first_update(Model& model, const Tensor& x, const std::vector<double>& g, const Options& options) {
  WeightedLayer& layer = *model.weighted_layers()[0];
  auto optimizer = make_optimizer("adaact", model, options);
  std::vector<double> update;
  for (std::int64_t i = 0; i < layer.weight().numel(); ++i) update.push_back(-test::element(layer.weight().value(), i));
  present(model, *optimizer, x);
  assign_gradient(layer.weight(), g);
  optimizer->step(0.1);
  model.parameters().clear_gradients();
  for (std::size_t i = 0; i < update.size(); ++i)
    update[i] += test::element(layer.weight().value(), static_cast<std::int64_t>(i));
  return update;
}

struct ConvModel final : Module {
  Conv2d conv;
  ConvModel(std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& options)
      : conv(in, out, kernel, options) {
    add("conv", conv);
  }
  Variable forward(Pass& pass, const Variable& x) override { return conv.forward(pass, x); }
};

std::vector<double> values(const Tensor& tensor) {
  std::vector<double> result;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) result.push_back(test::element(tensor, i));
  return result;
}

}  // namespace

TEST_CASE("AdaAct: scaling the inputs by c divides the update by c") {
  const Options options = with("adaact", {{"eps", 0.0}, {"weight-decay", 0.0}});
  const std::vector<double> g = {0.3, -0.2, 0.7, 0.1};
  auto one = linear_model(2, 2, DType::float64), two = linear_model(2, 2, DType::float64);
  const auto small = first_update(*one, images({2, 1, 1, 2}, DType::float64, {1, 2, -1, 3}), g, options);
  const auto large = first_update(*two, images({2, 1, 1, 2}, DType::float64, {5, 10, -5, 15}), g, options);
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(large[i] == Approx(small[i] / 5).epsilon(1e-12));
}

TEST_CASE("AdaAct: a 1x1 convolution equals a linear layer on its positions") {
  const Options options = with("adaact", {{"weight-decay", 0.0}});
  Model conv(std::make_unique<ConvModel>(3, 2, 1, Conv2dOptions{}), {}, DType::float64, 1);
  auto linear = linear_model(3, 2, DType::float64);
  const Tensor x = test::random_tensor({2, 4, 5, 3}, DType::float64, 5);
  const std::vector<double> g = {0.3, -0.2, 0.7, 0.1, 0.2, -0.5};
  const auto of_conv = first_update(conv, x, g, options);
  const auto of_linear = first_update(*linear, x.reshape({40, 1, 1, 3}), g, options);
  for (std::size_t i = 0; i < g.size(); ++i) CHECK(of_conv[i] == Approx(of_linear[i]).epsilon(1e-10));
}

TEST_CASE("AdaAct: a grouped convolution is its groups side by side") {
  const Options options = with("adaact", {{"weight-decay", 0.0}});
  Model grouped(std::make_unique<ConvModel>(4, 6, 3, Conv2dOptions{.padding = 1, .groups = 2}), {}, DType::float64, 1);
  const Tensor x = test::random_tensor({2, 5, 4, 4}, DType::float64, 6);
  const Tensor g = test::random_tensor({6, 18}, DType::float64, 7);
  const auto whole = first_update(grouped, x, values(g), options);
  for (std::int64_t group = 0; group < 2; ++group) {
    Model half(std::make_unique<ConvModel>(2, 3, 3, Conv2dOptions{.padding = 1}), {}, DType::float64, 1);
    Tensor part = Tensor::empty({2, 5, 4, 2}, DType::float64);
    for (std::int64_t i = 0; i < 40; ++i)
      for (std::int64_t c = 0; c < 2; ++c) part.data<double>()[2 * i + c] = x.data<double>()[4 * i + 2 * group + c];
    const auto alone = first_update(half, part, values(g.slice(3 * group, 3 * group + 3)), options);
    for (std::int64_t i = 0; i < 54; ++i)
      CHECK(whole[static_cast<std::size_t>(54 * group + i)] ==
            Approx(alone[static_cast<std::size_t>(i)]).epsilon(1e-9));
  }
}

TEST_CASE("AdaAct: evaluation leaves the state alone, micro-batches count as one batch") {
  auto state_after = [](const std::vector<std::pair<std::int64_t, std::int64_t>>& micro_batches, bool evaluate) {
    auto model = linear_model(3, 2, DType::float64);
    auto optimizer = make_optimizer("adaact", *model);
    const Tensor x = test::random_tensor({10, 1, 1, 3}, DType::float64, 8);
    for (int t = 0; t < 2; ++t) {
      for (auto [begin, end] : micro_batches) present(*model, *optimizer, x.slice(begin, end));
      if (evaluate) {
        Pass pass{.probe = optimizer.get()};
        model->forward(pass, test::random_tensor({4, 1, 1, 3}, DType::float64, 9));
      }
      for (Parameter* p : model->parameters().list())
        assign_gradient(*p, std::vector<double>(static_cast<std::size_t>(p->numel()), 0.1));
      optimizer->step(0.1);
      model->parameters().clear_gradients();
    }
    return values(optimizer->state()[1].tensor);
  };
  const auto whole = state_after({{0, 10}}, false);
  CHECK(state_after({{0, 10}}, true) == whole);
  const auto micro = state_after({{0, 4}, {4, 5}, {5, 10}}, false);
  for (std::size_t i = 0; i < whole.size(); ++i) CHECK(micro[i] == Approx(whole[i]).epsilon(1e-12));
}

TEST_CASE("AdaAct: the variance clip bounds the rates") {
  const Tensor x = images({1, 1, 1, 2}, DType::float64, {0.01, 100});
  auto model = linear_model(2, 1, DType::float64);
  const auto update = first_update(
      *model, x, {1, 1},
      with("adaact", {{"variance-min", 0.25}, {"variance-max", 4.0}, {"eps", 0.0}, {"weight-decay", 0.0}}));
  CHECK(update[0] == Approx(-0.1 / 0.5));
  CHECK(update[1] == Approx(-0.1 / 2.0));
  CHECK_THROWS_AS(make_optimizer("adaact", *model, with("adaact", {{"variance-min", 2.0}, {"variance-max", 1.0}})),
                  UserError);
}

TEST_CASE("AdaAct: parameters of no weighted layer take plain gradient steps with decay") {
  const auto model = make_model("resnet20", {}, DType::float64);
  auto optimizer = make_optimizer("adaact", *model);
  Parameter& scale = *model->other_parameters()[0];
  assign_gradient(scale, std::vector<double>(16, 0.5));
  optimizer->step(0.1);
  CHECK(test::element(scale.value(), 0) == Approx((1 - 0.1 * 0.002) * 1 - 0.1 * 0.5).epsilon(1e-14));
}

TEST_CASE("AdaAct refuses to step on a gradient whose inputs it never saw") {
  auto model = linear_model(2, 1, DType::float32);
  auto optimizer = make_optimizer("adaact", *model);
  assign_gradient(model->weighted_layers()[0]->weight(), {1, 1});
  CHECK_THROWS_AS(optimizer->step(0.1), InternalError);
}

TEST_CASE("state restored into a new optimizer continues with the same bits") {
  for (const std::string& name : optimizer_names()) {
    INFO(name);
    auto train = [](Model& model, Optimizer& optimizer, int first, int last) {
      for (int t = first; t < last; ++t) {
        Tape tape;
        Pass pass{.tape = &tape, .training = true, .probe = &optimizer};
        const Variable logits = model.forward(
            pass, test::random_tensor({8, 32, 32, 3}, DType::float32, 20 + static_cast<std::uint64_t>(t)));
        const Tensor labels = Tensor::from<std::int32_t>({8}, {0, 1, 2, 3, 4, 5, 6, 7});
        tape.backward({cross_entropy(pass, logits, labels).seed});
        optimizer.step(0.01);
        model.parameters().clear_gradients();
      }
    };
    auto model = make_model("lenet5"), resumed = make_model("lenet5");
    auto optimizer = make_optimizer(name, *model);
    train(*model, *optimizer, 0, 3);
    resumed->parameters().values().slice(0, resumed->parameters().flat_size()).copy_from(model->parameters().values());
    auto restored = make_optimizer(name, *resumed);
    const auto from = optimizer->state();
    auto to = restored->state();
    for (std::size_t i = 0; i < from.size(); ++i) to[i].tensor.copy_from(from[i].tensor);
    restored->set_steps(optimizer->steps());
    train(*model, *optimizer, 3, 6);
    train(*resumed, *restored, 3, 6);
    CHECK(resumed->parameters().values().to_vector<float>() == model->parameters().values().to_vector<float>());
  }
}

TEST_CASE("recommended options are options of their optimizers, with values in range and a source") {
  for (const std::string& optimizer : optimizer_names())
    for (const std::string& model : model_names())
      for (const char* data : {"cifar10", "cifar100", "fashion-mnist", "synthetic"})
        for (const Recommended& recommended : recommended_options(optimizer, model, data)) {
          CHECK_NOTHROW(Options(optimizer_options(optimizer)).set(recommended.option, recommended.value));
          CHECK(!recommended.source.empty());
        }
  CHECK(std::get<double>(recommended_options("lamb", "lenet5", "cifar10").at(0).value) == 0.01);
  CHECK(recommended_options("lamb", "resnet20", "cifar10").empty());
  CHECK(recommended_options("sgd", "resnet34", "cifar100").at(0).option == "nesterov");
}

TEST_CASE("AdaAct's state is smaller than Adam's") {
  const auto model = make_model("resnet20");
  CHECK(make_optimizer("adaact", *model)->state_bytes() <
        0.6 * static_cast<double>(make_optimizer("adam", *model)->state_bytes()));
}

TEST_CASE("options are checked") {
  CHECK_THROWS_AS(with("adaact", {{"beta1", 1.0}}), UserError);
  CHECK_THROWS_AS(with("sgd", {{"lr", -0.1}}), UserError);
  CHECK_THROWS_AS(with("adam", {{"lr", std::nan("")}}), UserError);
  CHECK_THROWS_WITH(with("adam", {{"momentum", 0.9}}), ContainsSubstring("momentum"));
  CHECK_THROWS_WITH(optimizer_options("adact"), ContainsSubstring("adaact"));
  auto model = linear_model(1, 1, DType::float32);
  CHECK_THROWS_AS(make_optimizer("sgd", *model, with("sgd", {{"nesterov", true}, {"momentum", 0.0}})), UserError);
}
