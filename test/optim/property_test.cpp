// What must hold for every optimizer, whatever its formulas are.
#include "test/optim/golden_network.h"

using namespace actgrad;
using namespace actgrad::test;

namespace {

void check_equal_parameters(const Model& found, const Model& expected, double tolerance) {
  const auto &a = found.parameters().list(), &b = expected.parameters().list();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(b[i]->name);
    const std::vector<double> values = doubles(b[i]->value());
    double largest = 0;
    for (double value : values) largest = std::max(largest, std::abs(value));
    CHECK(distance(doubles(a[i]->value()), values) < tolerance * largest);
  }
}

// A 1x1 convolution of images, its positions as rows of logits.
struct Positions final : Module {
  explicit Positions(std::int64_t in, std::int64_t out) : layer(in, out, 1) { add("layer", layer); }
  Variable forward(Pass& pass, const Variable& x) override {
    const Variable y = layer.forward(pass, x);
    const Shape shape = y.value().shape();
    const Tensor rows = y.value().reshape({shape.numel() / shape[3], shape[3]});
    return pass.tape->record(rows, [shape, dy = y.gradient()](const Tensor& gradient) {
      auto [target, mode] = dy.target();
      kernels::copy(gradient.reshape(shape), target, mode);
    });
  }
  Conv2d layer;
};

// The linear layer on rows that come as images of one pixel.
struct Rows final : Module {
  explicit Rows(std::int64_t in, std::int64_t out) : layer(in, out) { add("layer", layer); }
  Variable forward(Pass& pass, const Variable& x) override { return layer.forward(pass, flatten(pass, x)); }
  Linear layer;
};

void train(Model& model, Optimizer& optimizer, const std::vector<Tensor>& images, const Tensor& labels) {
  TrainingStep step(model, optimizer, {});
  for (const Tensor& x : images)
    step.run(0.01, x.dim(0), 1, [&](const Pass& settings) {
      Tape tape;
      Pass pass = settings;
      pass.tape = &tape;
      tape.backward({cross_entropy(pass, model.forward(pass, x), labels).seed});
    });
}

}  // namespace

TEST_CASE("without normalisation, micro-batches equal one batch, for every optimizer and option") {
  const OneThread one_thread;
  constexpr int steps = 5;
  for (const Json& entry : golden_file()["cases"]) {
    if (!missing(entry).empty()) continue;
    const auto statistics = entry["options"].find("statistics");
    if (statistics != entry["options"].end() && *statistics == "per-forward") continue;  // that is what they are not
    DYNAMIC_SECTION(entry["name"].get<std::string>()) {
      const auto trained = [&](const std::vector<std::int64_t>& micro_batches) {
        auto run = std::make_unique<GoldenRun>(entry["optimizer"], golden_options(entry), micro_batches, DType::float64,
                                               steps, /*normalised=*/false);
        for (int s = 0; s < steps; ++s) run->step(s, entry["lr"]);
        return run;
      };
      const auto whole = trained({6});
      check_equal_parameters(trained({4, 2})->model, whole->model, 1e-12);
      check_equal_parameters(trained({1, 2, 3})->model, whole->model, 1e-12);
    }
  }
}

TEST_CASE("a 1x1 convolution trains like a linear layer on its positions, whatever the optimizer") {
  const OneThread one_thread;
  constexpr std::int64_t in = 3, out = 4, batch = 2, height = 3, width = 2, rows = batch * height * width;
  std::vector<Tensor> images, positions;
  for (std::uint64_t step = 0; step < 25; ++step) {
    images.push_back(random_tensor<double>({batch, height, width, in}, step));
    positions.push_back(images.back().reshape({rows, 1, 1, in}));
  }
  const Tensor labels = Tensor::from<std::int32_t>({rows}, {0, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0});
  for (const std::string& name : optimizer_names()) {
    INFO(name);
    Model convolution(std::make_unique<Positions>(in, out), {height, width, in, out}, DType::float64, 1);
    Model linear(std::make_unique<Rows>(in, out), {1, 1, in, out}, DType::float64, 1);
    const auto of_convolution = make_optimizer(name, convolution), of_linear = make_optimizer(name, linear);
    const Tensor start = linear.parameters().values().clone();
    train(convolution, *of_convolution, images, labels);
    train(linear, *of_linear, positions, labels);
    check_equal_parameters(convolution, linear, 1e-12);
    CHECK(distance(linear.parameters().values(), start) > 1e-3);
  }
}

TEST_CASE("SAM shows the rates of its base") {
  const auto rates = [](const std::string& base) {
    GoldenRun run("sam", Options(optimizer_options("sam", base)), {6}, DType::float64, 1);
    run.step(0, 0.01);
    return run.optimizer->rates();
  };
  CHECK(rates("sgd").empty());
  CHECK_FALSE(rates("adaact").empty());
}

TEST_CASE("evaluation leaves every optimizer's state alone") {
  const OneThread one_thread;
  for (const std::string& name : optimizer_names()) {
    INFO(name);
    const auto trained = [&](bool evaluate) {
      auto run = std::make_unique<GoldenRun>(name, Options(optimizer_options(name)), std::vector<std::int64_t>{6},
                                             DType::float64, 3);
      for (int s = 0; s < 3; ++s) {
        run->step(s, 0.01);
        for (int i = 0; evaluate && i < 2; ++i) {
          Pass pass{.probe = run->optimizer.get()};
          run->model.forward(pass, random_tensor<double>({3, 7, 6, 2}, static_cast<std::uint64_t>(i)));
        }
      }
      return run;
    };
    const auto alone = trained(false), between = trained(true);
    const auto expected = alone->optimizer->state(), found = between->optimizer->state();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      INFO(expected[i].name);
      CHECK(distance(found[i].tensor, expected[i].tensor) == 0);
    }
    CHECK(distance(between->model.parameters().values(), alone->model.parameters().values()) == 0);
  }
}
