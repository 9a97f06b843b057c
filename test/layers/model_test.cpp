// Models: parameter counts and names (the specification's table of models), state in PyTorch's layout, initial values.
#include "layers/model.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

#include "layers/functions/cross_entropy.h"
#include "layers/models/lstm.h"
#include "layers/models/mlp.h"
#include "layers/models/resnet.h"
#include "layers/sequential.h"
#include "test/operation_case.h"

using namespace actgrad;

namespace {

std::vector<std::string> names_of(const Model& model) {
  std::vector<std::string> names;
  for (const NamedTensor& entry : model.state()) names.push_back(entry.name);
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("parameter counts are the published architectures'") {
  const std::map<std::string, std::int64_t> counts = {
      {"lenet5", 62006},      {"resnet20", 269722},   {"resnet32", 464154},
      {"resnet44", 658586},   {"resnet56", 853018},   {"resnet110", 1727962},
      {"resnet18", 11173962}, {"resnet34", 21282122}, {"densenet121", 6956298}};
  for (const auto& [name, count] : counts) {
    INFO(name);
    CHECK(make_model(name)->parameters().count() == count);
  }
  CHECK(make_model("lenet5", {28, 28, 1, 10})->parameters().count() == 44426);
  CHECK(make_model("resnet20", {32, 32, 3, 100})->parameters().count() == 275572);
  CHECK(make_model("resnet32", {32, 32, 3, 100})->parameters().count() == 470004);
  CHECK(make_model("resnet34", {32, 32, 3, 100})->parameters().count() == 21328292);
  CHECK(make_model("densenet121", {32, 32, 3, 100})->parameters().count() == 7048548);
  const Options without = Options(model_options("resnet20")).set("batch-norm", false);
  CHECK(make_model("resnet20", {}, DType::float32, 0, without)->parameters().count() == 268346);
  Options options(model_options("mlp"));
  options.set("hidden", "20");
  CHECK(make_model("mlp", {28, 28, 1, 10}, DType::float32, 0, options)->parameters().count() == 15910);
}

TEST_CASE("parameter counts of the networks that learned optimizers are tried on") {
  const InputSpec mnist{28, 28, 1, 10};
  CHECK(make_model("cnn1", mnist)->parameters().count() == 33850);
  CHECK(make_model("cnn1")->parameters().count() == 43738);
  CHECK(make_model("cnn2", mnist)->parameters().count() == 117434);
  CHECK(make_model("cnn2")->parameters().count() == 148442);
  Options options(model_options("mlp"));
  std::string hidden = "20";
  for (int layers = 2; layers <= 10; ++layers) {
    hidden += ",20";
    options.set("hidden", hidden);
    CHECK(make_model("mlp", mnist, DType::float32, 0, options)->parameters().count() == 15910 + 420 * (layers - 1));
  }
  const auto count_of_lstm = [](std::int64_t layers) {
    return Model(std::make_unique<LstmPredictor>(layers, 20), {}, DType::float32, 0).parameters().count();
  };
  CHECK(count_of_lstm(1) == 1781);
  CHECK(count_of_lstm(2) == 5061);
}

TEST_CASE("an LSTM's prediction is that of its equations") {
  Model model(std::make_unique<LstmPredictor>(1, 2), {}, DType::float64, 3);
  const Tensor x = test::random_tensor({3, 4, 1, 1}, DType::float64, 7);
  Pass pass;
  const Tensor y = model.forward(pass, x).value();
  const auto value = [&](std::size_t parameter, std::int64_t i) {
    return model.parameters().list()[parameter]->value().data<double>()[i];
  };
  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  for (std::int64_t n = 0; n < 4; ++n) {
    double c[2] = {0, 0}, h[2] = {0, 0};
    for (std::int64_t t = 0; t < 3; ++t) {
      double gates[8];
      for (std::int64_t row = 0; row < 8; ++row)
        gates[row] = value(0, row) * x.data<double>()[t * 4 + n] + value(1, 2 * row) * h[0] +
                     value(1, 2 * row + 1) * h[1] + value(2, row);
      for (int u = 0; u < 2; ++u) {  // rows: input, candidate, forget, output
        c[u] = sigmoid(gates[4 + u]) * c[u] + sigmoid(gates[u]) * std::tanh(gates[2 + u]);
        h[u] = sigmoid(gates[6 + u]) * std::tanh(c[u]);
      }
    }
    CHECK(std::abs(y.data<double>()[n] - (value(3, 0) * h[0] + value(3, 1) * h[1] + value(4, 0))) < 1e-12);
  }
}

TEST_CASE("names and shapes in files are PyTorch's") {
  const auto resnet = make_model("resnet20");
  const std::vector<std::string> names = names_of(*resnet);
  for (const char* name :
       {"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "layer1.0.conv1.weight",
        "layer2.0.bn2.bias", "layer3.2.conv2.weight", "linear.weight", "linear.bias"})
    CHECK(has(names, name));
  CHECK(names.size() ==
        19 + 19 * 4 + 2);  // convolutions, batch normalisations (two parameters, two running values), linear
  // resnet34: 33 convolutions and 3 in shortcuts, each with a batch normalisation. A shortcut has tensors only where
  // the shape changes.
  const auto resnet34 = make_model("resnet34", {32, 32, 3, 100});
  std::map<std::string, Shape> shapes;
  for (const NamedTensor& entry : resnet34->state()) shapes[entry.name] = entry.tensor.shape();
  CHECK(shapes.size() == 36 + 36 * 4 + 2);
  CHECK(shapes["conv1.weight"] == Shape{64, 3, 3, 3});
  CHECK(shapes["layer1.0.conv1.weight"] == Shape{64, 64, 3, 3});
  CHECK(shapes["layer2.0.shortcut.0.weight"] == Shape{128, 64, 1, 1});
  CHECK(shapes["layer3.5.bn2.running_var"] == Shape{256});
  CHECK(shapes["layer4.0.shortcut.1.bias"] == Shape{512});
  CHECK(shapes["linear.weight"] == Shape{100, 512});
  CHECK(!shapes.contains("layer1.0.shortcut.0.weight"));
  CHECK(!shapes.contains("layer4.1.shortcut.0.weight"));

  const auto lenet = make_model("lenet5");
  for (const NamedTensor& entry : lenet->state()) {
    if (entry.name == "conv1.weight") CHECK(entry.tensor.shape() == Shape{6, 3, 5, 5});
    if (entry.name == "fc1.weight") CHECK(entry.tensor.shape() == Shape{120, 400});
  }
}

TEST_CASE("an unknown model names the nearest one") {
  CHECK_THROWS_AS(make_model("resnet21"), UserError);
  CHECK_THROWS_WITH(make_model("lenet-5"), ContainsSubstring("lenet5"));
  CHECK_THROWS_AS(make_model("lenet5", {12, 12, 1, 10}), UserError);
  Options options(model_options("mlp"));
  for (const char* odd : {"20,x", "20,", ",20", "20,,10"}) {
    options.set("hidden", odd);
    CHECK_THROWS_AS(make_model("mlp", {}, DType::float32, 0, options), UserError);
  }
}

TEST_CASE("initial values: distribution, seed, precision") {
  const auto model = make_model("resnet20", {}, DType::float64, 3),
             other = make_model("resnet20", {}, DType::float64, 4);
  const auto rounded = make_model("resnet20", {}, DType::float32, 3);
  CHECK(test::relative_difference(model->parameters().values(), other->parameters().values()) > 0.01);
  CHECK(test::relative_difference(rounded->parameters().values(), model->parameters().values()) < 1e-7);
  for (const Parameter* p : model->parameters().list()) {
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < p->numel(); ++i)
      sum += test::element(p->value(), i), squares += std::pow(test::element(p->value(), i), 2);
    const double n = static_cast<double>(p->numel());
    INFO(p->name);
    if (p->init == Init::kaiming_normal_fan_in && p->numel() > 2000) {
      CHECK(std::sqrt(squares / n) == Approx(std::sqrt(2.0 / static_cast<double>(p->fan_in))).epsilon(0.05));
      CHECK(std::abs(sum / n) < 4 * std::sqrt(2.0 / static_cast<double>(p->fan_in) / n));
    }
    if (p->init == Init::ones) CHECK(sum == n);
  }
  const Options uniform = Options(model_options("resnet20")).set("weight-init", std::string("uniform"));
  const auto lenet = make_model("lenet5", {}, DType::float64, 1);
  const auto resnet = make_model("resnet20", {}, DType::float64, 1, uniform);
  std::vector<Parameter*> drawn = lenet->parameters().list();
  for (Parameter* p : resnet->parameters().list())
    if (p->init == Init::uniform_fan_in) drawn.push_back(p);
  CHECK(drawn.size() == 10 + 21);  // 19 convolutions, weight and bias of the last layer
  for (const Parameter* p : drawn) {
    const double bound = 1 / std::sqrt(static_cast<double>(p->fan_in));
    double largest = 0;
    for (std::int64_t i = 0; i < p->numel(); ++i) largest = std::max(largest, std::abs(test::element(p->value(), i)));
    INFO(p->name);
    CHECK(largest <= bound);
    if (p->numel() > 100) CHECK(largest > 0.95 * bound);
  }
}

TEST_CASE("state: save, load, and refuse what does not fit") {
  const std::string path = "/tmp/actgrad-model-test-" + std::to_string(getpid()) + ".safetensors";
  const auto saved = make_model("lenet5", {}, DType::float64, 1), loaded = make_model("lenet5", {}, DType::float64, 2);
  saved->save(path);
  loaded->load(path);
  CHECK(test::relative_difference(loaded->parameters().values(), saved->parameters().values()) == 0);
  const auto single = make_model("lenet5", {}, DType::float32, 2);
  single->load(path);  // float64 files load into float32 models, rounded
  const std::vector<NamedTensor> from = saved->state(), to = single->state();
  for (std::size_t i = 0; i < from.size(); ++i) CHECK(test::relative_difference(to[i].tensor, from[i].tensor) < 1e-7);

  const auto resnet = make_model("resnet20");
  const std::vector<float> before = resnet->parameters().values().to_vector<float>();
  CHECK_THROWS_AS(resnet->load(path), UserError);
  CHECK(resnet->parameters().values().to_vector<float>() == before);

  std::vector<NamedTensor> state = saved->state();
  state.push_back({"fc9.weight", Tensor::zeros({1}, DType::float64)});
  CHECK_THROWS_WITH(loaded->load_state(state, "x"), ContainsSubstring("fc9.weight"));
  state.back().name = "bn1.num_batches_tracked";
  loaded->load_state(state, "x");
  state.erase(state.begin());
  CHECK_THROWS_WITH(loaded->load_state(state, "x"), ContainsSubstring("conv1.weight"));
  std::remove(path.c_str());
}

TEST_CASE("flat buffers: views are aligned, gaps stay zero") {
  const auto model = make_model("lenet5", {}, DType::float32, 1);
  Tensor covered = model->parameters().zeros_like();
  for (const Parameter* p : model->parameters().list()) {
    CHECK(reinterpret_cast<std::uintptr_t>(p->value().raw()) % 64 == 0);
    for (std::int64_t i = 0; i < p->numel(); ++i) covered.data<float>()[p->offset + i] = 1;
  }
  for (std::int64_t i = 0; i < covered.numel(); ++i)
    if (covered.data<float>()[i] == 0) CHECK(model->parameters().values().data<float>()[i] == 0);
}

namespace {

struct CountingProbe : Probe {
  int inputs = 0, gradients = 0;
  void on_input(const WeightedLayer&, const Tensor&) override { ++inputs; }
  bool wants_output_gradients() const override { return true; }
  void on_output_gradient(const WeightedLayer& layer, const Tensor& dy) override {
    ++gradients;
    CHECK(dy.dim(-1) == const_cast<WeightedLayer&>(layer).out());
  }
};

}  // namespace

TEST_CASE("a probe sees inputs and output gradients in training mode only") {
  const auto [name, layers] = GENERATE(table<std::string, int>({{"resnet20", 20}, {"lenet5", 5}}));
  const auto model = make_model(name);
  const Tensor x = test::random_tensor({2, 32, 32, 3}, DType::float32, 0);
  const Tensor labels = Tensor::from<std::int32_t>({2}, {1, 2});
  CountingProbe probe;
  Tape tape;
  Pass evaluation{.probe = &probe};
  model->forward(evaluation, x);
  CHECK(probe.inputs == 0);
  Pass training{.tape = &tape, .training = true, .probe = &probe};
  const Variable logits = model->forward(training, x);
  CHECK(probe.inputs == layers);
  tape.backward({cross_entropy(training, logits, labels).seed});
  CHECK(probe.gradients == layers);
  CHECK(model->parameters().spans_with_gradient().size() == 1);
  model->parameters().clear_gradients();
  CHECK(model->parameters().spans_with_gradient().empty());
}

TEST_CASE("a step along a residual network's gradient changes the loss by the gradient's square") {
  const Shortcut shortcut = GENERATE(Shortcut::pad, Shortcut::project);
  const InputSpec input{8, 8, 3, 10};
  Model model(std::make_unique<ResNet>(ResNetPlan{{2, 1, 1}, 4, shortcut, Init::kaiming_normal_fan_in}, input), input,
              DType::float64, 1);
  const Tensor x = test::random_tensor({4, 8, 8, 3}, DType::float64, 0);
  const Tensor labels = Tensor::from<std::int32_t>({4}, {1, 2, 3, 4});
  Tape tape;
  Pass pass{.tape = &tape, .training = true};
  tape.backward({cross_entropy(pass, model.forward(pass, x), labels).seed});

  const Tensor values = model.parameters().values();
  const std::vector<double> start = values.to_vector<double>();
  const std::vector<double> gradient = model.parameters().gradients().to_vector<double>();
  const auto loss_after = [&](double step) {
    for (std::size_t i = 0; i < start.size(); ++i) values.data<double>()[i] = start[i] + step * gradient[i];
    Pass untaped{.training = true};
    return cross_entropy(untaped, model.forward(untaped, x), labels).mean();
  };
  const double square = std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0);
  const double step = 1e-7;
  CHECK((loss_after(step) - loss_after(-step)) / (2 * step) == Approx(square).epsilon(1e-6));
}

TEST_CASE("engines and evaluation agree on a whole model") {
  const auto model = make_model(GENERATE("resnet20", "resnet18"), {}, DType::float32, 1);
  const Tensor x = test::random_tensor({4, 32, 32, 3}, DType::float32, 0);
  Pass im2col{.conv_engine = kernels::ConvEngine::im2col}, automatic;
  CHECK(test::relative_difference(model->forward(automatic, x).value(), model->forward(im2col, x).value()) < 1e-4);
}
