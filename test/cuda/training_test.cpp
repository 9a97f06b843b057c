// Whole training runs on the CUDA device beside the CPU's, in double: nothing is lost on the way between kernels,
// recorded steps do what they did when they were recorded with the numbers of their own time, checkpoints move.
#include <cmath>

#include "apps/training/checkpoint.h"
#include "apps/training/trainer.h"
#include "test/apps/program.h"
#include "test/cuda/parity.h"

using namespace actgrad;
using namespace actgrad::test;

namespace {

// Random images: what is learnt does not matter here. The last batch of an epoch is a small one.
Dataset small_dataset(std::int64_t side, std::int64_t train_images) {
  Dataset data = synthetic_dataset(train_images, 10);
  if (side == 32) return data;
  for (ImageSet* set : {&data.train, &data.test}) {
    Random random(7, Purpose::test);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(set->size() * side * side * 3));
    for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(random.next() >> 24);
    set->images = Tensor::from({set->size(), side, side, 3}, pixels);
  }
  return data;
}

struct Run {
  Run(const std::string& model_name, const std::string& optimizer_name, const Dataset& data,
      const TrainingOptions& options, Device device)
      : model(make_model(model_name, input_spec(data), DType::float64, 1, Options(model_options(model_name)), device)),
        optimizer(make_optimizer(optimizer_name, *model)),
        trainer(*model, *optimizer, data, options) {}
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  Trainer trainer;
};

// The largest difference of any parameter, running statistic or piece of the optimizer's state, as a share of the
// tensor's largest number.
double distance_of(Run& found, Run& expected) {
  double largest = 0;
  const auto compare = [&](const Tensor& a, const Tensor& b) {
    if (a.dtype() != DType::float64) return;
    const std::vector<double> x = doubles(a), y = doubles(b);
    double scale = 0, difference = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      scale = std::max(scale, std::abs(y[i]));
      difference = std::max(difference, std::abs(x[i] - y[i]));
    }
    largest = std::max(largest, scale > 0 ? difference / scale : difference);
  };
  const auto& parameters = found.model->parameters().list();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    compare(parameters[i]->value(), expected.model->parameters().list()[i]->value());
  const auto here = found.model->buffers(), there = expected.model->buffers();
  for (std::size_t i = 0; i < here.size(); ++i) compare(here[i].second->value, there[i].second->value);
  const auto state = found.optimizer->state(), wanted = expected.optimizer->state();
  for (std::size_t i = 0; i < state.size(); ++i) compare(state[i].tensor, wanted[i].tensor);
  return largest;
}

}  // namespace

TEST_CASE("twenty steps in double follow the CPU's to 1e-9, recorded or not") {
  const auto device = cuda_device();
  if (!device) return;
  struct Setting {
    std::string model;
    std::int64_t side;
    std::string optimizer;
  };
  std::vector<Setting> settings = {{"lenet5", 32, "adaact"}, {"resnet20", 8, "adaact"}};
  if (!watched())
    for (const std::string& optimizer : optimizer_names())
      if (optimizer != "adaact")
        settings.insert(settings.end(), {{"lenet5", 32, optimizer}, {"resnet20", 8, optimizer}});
  for (const auto& [model, side, optimizer] : settings) {
    CAPTURE(model, optimizer);
    const std::int64_t batch = watched() ? 2 : 4;
    const Dataset data = small_dataset(side, watched() ? 4 * batch + 1 : 19 * batch + 2);
    TrainingOptions options{.epochs = 1, .lr = 0.01, .batch_size = batch, .augment = true, .seed = 2};
    Run expected(model, optimizer, data, options, Device{});
    REQUIRE(expected.trainer.run());
    Run recorded(model, optimizer, data, options, *device);
    REQUIRE(recorded.trainer.run());
    options.record = false;
    Run plain(model, optimizer, data, options, *device);
    REQUIRE(plain.trainer.run());

    CHECK(distance_of(plain, expected) < 1e-9);
    CHECK(same_bits(recorded.model->parameters().values(), plain.model->parameters().values()));
    const EpochMetrics &here = recorded.trainer.state().history[0], &there = expected.trainer.state().history[0];
    CHECK(here.train_loss == Approx(there.train_loss).epsilon(1e-9));
    CHECK(here.test_loss == Approx(there.test_loss).epsilon(1e-9));
    CHECK(here.train_accuracy == there.train_accuracy);
    CHECK(here.test_accuracy == there.test_accuracy);
  }
}

TEST_CASE("a run moves between CPU and CUDA by its checkpoint, and accumulates gradients") {
  const auto device = cuda_device();
  if (!device) return;
  const Dataset data = small_dataset(32, 21);
  const TrainingOptions options{.epochs = 2, .lr = 0.01, .batch_size = 4, .accumulate = 2, .seed = 2};
  Run expected("lenet5", "adaact", data, options, Device{});
  REQUIRE(expected.trainer.run());

  TemporaryFolder folder;
  const std::string checkpoint = folder.file("checkpoint.safetensors");
  Run first("lenet5", "adaact", data, options, Device{});
  int steps = 0;
  first.trainer.stop = [&] { return ++steps == 2; };
  REQUIRE(!first.trainer.run());
  save_checkpoint(checkpoint, *first.model, *first.optimizer, first.trainer.state(), {});

  Run second("lenet5", "adaact", data, options, *device);
  second.trainer.set_state(load_checkpoint(checkpoint, *second.model, *second.optimizer, {}));
  steps = 0;
  second.trainer.stop = [&] { return ++steps == 2; };
  REQUIRE(!second.trainer.run());
  save_checkpoint(checkpoint, *second.model, *second.optimizer, second.trainer.state(), {});

  Run third("lenet5", "adaact", data, options, Device{});
  third.trainer.set_state(load_checkpoint(checkpoint, *third.model, *third.optimizer, {}));
  REQUIRE(third.trainer.run());
  CHECK(distance_of(third, expected) < 1e-9);
  CHECK(third.trainer.state().history[0].train_loss ==
        Approx(expected.trainer.state().history[0].train_loss).epsilon(1e-9));
}

TEST_CASE("a loss that is not finite ends the run on the device too") {
  const auto device = cuda_device();
  if (!device) return;
  const Dataset data = small_dataset(32, 8);
  Run run("lenet5", "sgd", data, {.epochs = 1, .lr = 1e300, .batch_size = 2}, *device);
  CHECK_THROWS_AS(run.trainer.run(), LossNotFinite);
}
