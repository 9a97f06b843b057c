// Whole training runs on the CUDA device beside the CPU's, in double: nothing is lost on the way between kernels,
// recorded steps do what they did when they were recorded with the numbers of their own time, checkpoints move.
#include <cmath>

#include "apps/training/checkpoint.h"
#include "apps/training/trainer.h"
#include "layers/functions/cross_entropy.h"
#include "test/apps/program.h"
#include "test/cuda/parity.h"
#include "test/distance_of_updates.h"

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

using OptimizerOptions = std::vector<std::pair<std::string, OptionValue>>;

Options options_of(const std::string& optimizer, const OptimizerOptions& given) {
  std::string base;
  for (const auto& [name, value] : given)
    if (name == "base-optim") base = std::get<std::string>(value);
  Options options(optimizer_options(optimizer, base));
  for (const auto& [name, value] : given) options.set(name, value);
  return options;
}

struct Run {
  Run(const std::string& model_name, const std::string& optimizer_name, const Dataset& data,
      const TrainingOptions& options, Device device, const OptimizerOptions& given = {})
      : model(make_model(model_name, input_spec(data), DType::float64, 1, Options(model_options(model_name)), device)),
        optimizer(make_optimizer(optimizer_name, *model, options_of(optimizer_name, given))),
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
    // Rounding errors of zero have no digits in common: an output gradient before batch normalisation has mean zero.
    if (scale < 1e-13 && difference < 1e-13) return;
    largest = std::max(largest, scale > 0 ? difference / scale : difference);
  };
  const auto& parameters = found.model->parameters().list();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    compare(parameters[i]->value(), expected.model->parameters().list()[i]->value());
  const auto here = found.model->buffers(), there = expected.model->buffers();
  for (std::size_t i = 0; i < here.size(); ++i) compare(here[i].second->value, there[i].second->value);
  const auto state = found.optimizer->state(), wanted = expected.optimizer->state();
  for (std::size_t i = 0; i < state.size(); ++i)
    if (!state[i].name.ends_with(".eigenvectors"))  // of which several are right
      compare(state[i].tensor, wanted[i].tensor);
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
    double clip_norm = 0;
    OptimizerOptions given = {};
  };
  std::vector<Setting> settings = {{"lenet5", 32, "adaact"}, {"resnet20", 8, "adaact", 0.5, {{"decay-1d", false}}}};
  if (!watched()) {
    for (const std::string& optimizer : optimizer_names()) {
      if (optimizer == "adaact") continue;
      settings.push_back({"lenet5", 32, optimizer});
      const bool decays = find_option(optimizer_options(optimizer), "decay-1d");  // learned ones do not
      settings.push_back(
          {"resnet20", 8, optimizer, 0.5, decays ? OptimizerOptions{{"decay-1d", false}} : OptimizerOptions{}});
    }
    // Several refreshes, of all kinds; every kind of step often enough to be replayed.
    const std::pair<std::string, OptionValue> often[] = {{"t-cov", std::int64_t{2}}, {"t-inv", std::int64_t{4}}};
    const auto text = [](const char* value) { return OptionValue(std::string(value)); };
    settings.insert(
        settings.end(),
        {{"resnet20", 8, "kfac", 0, {often[0], often[1]}},
         {"lenet5", 32, "kfac", 0, {often[0], often[1], {"solver", text("cholesky")}, {"labels", text("sampled")}}},
         {"resnet20", 8, "kfac", 0, {often[0], often[1], {"normalization", text("averaged")}}},
         {"lenet5", 32, "foof", 0, {often[0], often[1]}},
         {"resnet20", 8, "foof", 0, {often[1], {"variant", text("original")}, {"damping", 100.0}}},
         {"lenet5", 32, "sam", 0, {{"base-optim", text("adaact")}}},
         {"lenet5", 32, "sam", 0, {{"base-optim", text("foof")}, often[0], often[1]}},
         {"lenet5", 32, "adaact", 0, {{"statistics", text("per-forward")}, {"exponent", 0.25}}},
         {"lenet5", 32, "adaact", 0, {{"covariance", text("full")}, {"eps", 0.01}, often[1]}}});
  }
  for (const auto& [model, side, optimizer, clip_norm, given] : settings) {
    CAPTURE(model, optimizer, clip_norm, given.size());
    const std::int64_t batch = watched() ? 2 : 4;
    const Dataset data = small_dataset(side, watched() ? 4 * batch + 1 : 19 * batch + 2);
    TrainingOptions options{
        .epochs = 1, .lr = 0.01, .clip_norm = clip_norm, .batch_size = batch, .augment = true, .seed = 2};
    Run expected(model, optimizer, data, options, Device{}, given);
    REQUIRE(expected.trainer.run());
    Run recorded(model, optimizer, data, options, *device, given);
    REQUIRE(recorded.trainer.run());
    options.record = false;
    Run plain(model, optimizer, data, options, *device, given);
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

namespace {

// One training step on a batch of random images that depends on `number` alone.
void step_on_random_batch(Model& model, Optimizer& optimizer, std::int64_t side, std::uint64_t number) {
  const Device device = model.parameters().device();
  const std::int64_t batch = 8;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < batch; ++i) labels.push_back(static_cast<std::int32_t>((number + 3 * i) % 10));
  TrainingStep(model, optimizer, {.record = false}).run(0.01, batch, 1, [&](const Pass& settings) {
    Tape tape;
    Pass pass = settings;
    pass.tape = &tape;
    pass.conv_engine = kernels::ConvEngine::im2col;
    const Variable logits = model.forward(pass, random_tensor<float>({batch, side, side, 3}, number).to(device));
    tape.backward({cross_entropy(pass, logits, Tensor::from({batch}, labels).to(device)).seed});
  });
}

void copy_state(Model& to, Optimizer& to_optimizer, Model& from, Optimizer& from_optimizer) {
  const auto copy = [](Tensor to_tensor, const Tensor& from_tensor) { to_tensor.copy_from(from_tensor); };
  copy(to.parameters().values(), from.parameters().values());
  for (std::size_t i = 0; i < from.buffers().size(); ++i)
    copy(to.buffers()[i].second->value, from.buffers()[i].second->value);
  const auto there = to_optimizer.state(), here = from_optimizer.state();
  for (std::size_t i = 0; i < here.size(); ++i) copy(there[i].tensor, here[i].tensor);
  to_optimizer.set_steps(from_optimizer.steps());
}

}  // namespace

// Training is chaotic, so in float only single steps can be compared: each starts from the CPU's state. Where two
// numbers are equal but for rounding, ReLU and max pooling may choose differently; such steps are counted.
TEST_CASE("in float every step's update agrees with the CPU's to 1e-4 of the tensor's largest") {
  const auto device = cuda_device();
  if (!device || watched()) return;
  for (const auto& [name, side] : {std::pair<std::string, std::int64_t>{"lenet5", 32}, {"resnet20", 8}})
    for (const std::string optimizer_name : {"sgd", "adaact"}) {
      CAPTURE(name, optimizer_name);
      InputSpec input;
      input.height = input.width = side;
      const Options none{model_options(name)};
      const auto here = make_model(name, input, DType::float32, 1, none);
      const auto there = make_model(name, input, DType::float32, 1, none, *device);
      const auto optimizer = make_optimizer(optimizer_name, *here), on_device = make_optimizer(optimizer_name, *there);
      int ties = 0;
      for (std::uint64_t number = 0; number < 100; ++number) {
        copy_state(*there, *on_device, *here, *optimizer);
        const Tensor before = here->parameters().values().clone();
        step_on_random_batch(*here, *optimizer, side, number);
        step_on_random_batch(*there, *on_device, side, number);
        const double distance = distance_of_updates(*there, *here, before);
        ties += distance >= 1e-4;
        CHECK(distance < 0.1);
      }
      CAPTURE(ties);
      CHECK(ties <= 5);
      if (ties > 0) WARN(name << ", " << optimizer_name << ": " << ties << " of 100 steps with a tie");
    }
}
