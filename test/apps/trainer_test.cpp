// The training loop as a library: stopped anywhere, it goes on as if nothing had happened.
#include "apps/training/trainer.h"

#include <cmath>
#include <sstream>

#include "apps/training/checkpoint.h"
#include "apps/training/run_directory.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "kernels/algorithm_choice.h"
#include "kernels/elementwise.h"
#include "kernels/parallel.h"
#include "program.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

// Everything that a run consists of.
struct Setup {
  std::string model_name, optimizer_name;
  TrainingOptions options;
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Trainer> trainer;

  // `given`: options of the optimizer, "name=value name=value …".
  Setup(std::string model_, std::string optimizer_, const Dataset& data, const TrainingOptions& options_,
        const std::string& given = "")
      : model_name(std::move(model_)), optimizer_name(std::move(optimizer_)), options(options_) {
    model = make_model(model_name, input_spec(data));
    Options optimizer_options_(optimizer_options(optimizer_name));
    std::istringstream words(given);
    for (std::string word; words >> word;)
      optimizer_options_.set_text(word.substr(0, word.find('=')), word.substr(word.find('=') + 1));
    optimizer = make_optimizer(optimizer_name, *model, optimizer_options_);
    trainer = std::make_unique<Trainer>(*model, *optimizer, data, options);
  }
};

std::vector<float> weights_of(const Setup& setup) {
  return setup.model->parameters().values().to_vector<float>();
}

// Epoch, rate, losses and accuracies.
std::string history_of(const Setup& setup) {
  return without_times(metrics_csv(setup.trainer->state().history));
}

}  // namespace

TEST_CASE("a trainer stopped at any point goes on to the same bits") {
  struct Setting {
    const char *model, *optimizer;
    std::int64_t accumulate, train_images, test_images;
    const char* given = "";
  };
  // 520 test images are two batches: a stop may come between them.
  const Setting setting = GENERATE(
      Setting{"lenet5", "adaact", 1, 100, 520}, Setting{"lenet5", "adam", 3, 130, 20},
      Setting{"resnet20", "sgd", 1, 40, 20}, Setting{"lenet5", "kfac", 1, 100, 20, "t-cov=2 t-inv=3"},
      Setting{"lenet5", "kfac", 2, 130, 20, "t-cov=2 t-inv=2 labels=sampled solver=cholesky factor-dtype=float64"},
      Setting{"lenet5", "foof", 1, 100, 20, "variant=original t-inv=3 statistic-steps=2"},
      Setting{"lenet5", "eva", 1, 100, 20}, Setting{"lenet5", "sam", 1, 100, 20},
      Setting{"lenet5", "adaact", 1, 100, 20, "covariance=full eps=0.01 t-inv=3"},
      Setting{"lenet5", "adaact", 2, 130, 20, "statistics=per-forward"});
  const auto [model, optimizer, accumulate, train_images, test_images, given] = setting;
  kernels::set_threads(1);
  const Dataset data = synthetic_dataset(train_images, test_images);
  const TrainingOptions options{.epochs = 2,
                                .lr = 0.02,
                                .schedule = {.milestones = {}, .warmup_epochs = 1, .per_step = true},
                                .clip_norm = 1,
                                .batch_size = 32,
                                .accumulate = accumulate,
                                .seed = 3};
  Setup whole(model, optimizer, data, options, given);
  int asked = 0;
  whole.trainer->stop = [&] { return ++asked, false; };
  REQUIRE(whole.trainer->run());
  REQUIRE(asked >= 4);

  TemporaryFolder folder;
  const std::string checkpoint = folder.file("checkpoint.safetensors");
  for (int stop_at = 1; stop_at <= asked; ++stop_at) {
    INFO(setting.model << " " << setting.optimizer << " " << given << ", stopped at question " << stop_at << " of "
                       << asked);
    Setup first(model, optimizer, data, options, given);
    int questions = 0;
    first.trainer->stop = [&] { return ++questions == stop_at; };
    CHECK(!first.trainer->run());
    save_checkpoint(checkpoint, *first.model, *first.optimizer, first.trainer->state(), {{"model", model}});

    Setup second(model, optimizer, data, options, given);
    second.trainer->set_state(load_checkpoint(checkpoint, *second.model, *second.optimizer, {{"model", model}}));
    REQUIRE(second.trainer->run());
    CHECK(weights_of(second) == weights_of(whole));
    CHECK(history_of(second) == history_of(whole));
    CHECK(second.optimizer->steps() == whole.optimizer->steps());
  }
}

TEST_CASE("a checkpoint of another model, optimizer or run changes nothing") {
  const Dataset data = synthetic_dataset(64, 10);
  TemporaryFolder folder;
  const std::string path = folder.file("checkpoint.safetensors");
  Setup source("lenet5", "adam", data, {.epochs = 1, .lr = 0.01});
  source.trainer->run();
  save_checkpoint(path, *source.model, *source.optimizer, source.trainer->state(), {{"seed", "1"}});

  const auto refused = [&](const char* model, const char* optimizer, const RunIdentity& identity,
                           const std::string& part) {
    Setup setup(model, optimizer, data, {.epochs = 1});
    const std::vector<float> before = weights_of(setup);
    REQUIRE_THROWS_WITH(load_checkpoint(path, *setup.model, *setup.optimizer, identity), ContainsSubstring(part));
    CHECK(weights_of(setup) == before);
    CHECK(setup.optimizer->steps() == 0);
  };
  refused("lenet5", "adam", {{"seed", "2"}}, "its seed is 1, this run's is 2");
  refused("resnet20", "adam", {{"seed", "1"}}, "'parameters'");
  refused("lenet5", "sgd", {{"seed", "1"}}, "optimizer");
  refused("lenet5", "adaact", {{"seed", "1"}}, "optimizer");
  source.model->save(path);
  refused("lenet5", "adam", {}, "");
}

TEST_CASE("a checkpoint carries what was tuned, and brings it back only when it is loaded") {
  const Dataset data = synthetic_dataset(32, 10);
  TemporaryFolder folder;
  const std::string path = folder.file("checkpoint.safetensors");
  Setup setup("mlp", "sgd", data, {.epochs = 1, .lr = 0.01});
  const kernels::TunedChoices choices = {{"conv2d forward (1, 2) \"x\"", "cuDNN 9.1.0, algorithm 1, math 0"},
                                         {"conv2d backward_data", "im2col"}};
  kernels::set_tuned_choices(choices);
  save_checkpoint(path, *setup.model, *setup.optimizer, setup.trainer->state(), {{"seed", "1"}});
  kernels::set_tuned_choices({{"of another run", "im2col"}});
  CHECK_THROWS_AS(load_checkpoint(path, *setup.model, *setup.optimizer, {{"seed", "2"}}), UserError);
  CHECK(kernels::tuned_choices() == kernels::TunedChoices{{"of another run", "im2col"}});
  load_checkpoint(path, *setup.model, *setup.optimizer, {{"seed", "1"}});
  CHECK(kernels::tuned_choices() == choices);

  // A checkpoint from before there was anything to tune.
  TensorFile file = read_tensor_file(path, /*require_checksum=*/true);
  file.metadata.erase("tuned");
  write_tensor_file(path, file, /*checksum=*/true);
  load_checkpoint(path, *setup.model, *setup.optimizer, {{"seed", "1"}});
  CHECK(kernels::tuned_choices().empty());
}

TEST_CASE("each epoch has the schedule's rate") {
  const Dataset data = synthetic_dataset(32, 10);
  Setup setup("mlp", "sgd", data,
              {.epochs = 4, .lr = 0.1, .schedule = {Schedule::Kind::multistep, {1, 3}, 0.1}, .batch_size = 16});
  std::vector<double> rates;
  setup.trainer->on_epoch = [&](const EpochMetrics& metrics) { rates.push_back(metrics.lr); };
  REQUIRE(setup.trainer->run());
  REQUIRE(rates.size() == 4);
  CHECK(rates[0] == Approx(0.1));
  CHECK(rates[1] == Approx(0.01));
  CHECK(rates[2] == Approx(0.01));
  CHECK(rates[3] == Approx(0.001));
}

TEST_CASE("a schedule per step moves within the epoch, and the metrics tell its beginning") {
  const Dataset data = synthetic_dataset(64, 10);
  Schedule schedule{.kind = Schedule::Kind::constant, .milestones = {}, .warmup_epochs = 2, .per_step = true};
  for (const std::int64_t accumulate : {1, 2}) {
    Setup setup("mlp", "sgd", data,
                {.epochs = 3, .lr = 0.8, .schedule = schedule, .batch_size = 16, .accumulate = accumulate});
    std::vector<double> next_rates;
    setup.trainer->on_step = [&] {
      if (setup.trainer->state().batch < 4) next_rates.push_back(setup.trainer->lr());
    };
    REQUIRE(setup.trainer->run());
    const std::vector<double> every = {0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8}, second = {0.2, 0.6, 0.8};
    const std::vector<double>& expected = accumulate == 1 ? every : second;
    REQUIRE(next_rates.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(next_rates[i] == Approx(expected[i]));
    const auto& history = setup.trainer->state().history;
    CHECK(history[0].lr == 0);
    CHECK(history[1].lr == Approx(0.4));
    CHECK(history[2].lr == Approx(0.8));
  }
}

TEST_CASE("clip-norm bounds the gradients' norm, also of accumulated ones") {
  const Dataset data = synthetic_dataset(64, 10);
  const std::int64_t accumulate = GENERATE(1, 4);
  // Plain gradient descent, one step: the distance is lr · norm of the gradient.
  const auto distance = [&](double clip_norm) {
    auto model = make_model("mlp", input_spec(data));
    const Tensor before = model->parameters().values().clone();
    Options options(optimizer_options("sgd"));
    options.set("momentum", 0.0).set("weight-decay", 0.0);
    auto optimizer = make_optimizer("sgd", *model, options);
    Trainer(*model, *optimizer, data,
            {.epochs = 1, .lr = 0.5, .clip_norm = clip_norm, .batch_size = 64 / accumulate, .accumulate = accumulate})
        .run();
    Tensor moved = model->parameters().values();
    kernels::mix(moved, 1, before, -1);
    return std::sqrt(kernels::sum_of_squares(moved));
  };
  const double free = distance(0);
  REQUIRE(free > 0.1);
  CHECK(distance(1e6) == free);
  CHECK(distance(0.01) == Approx(0.5 * 0.01).epsilon(1e-4));
}

TEST_CASE("a loss that is not finite throws before the weights are touched again") {
  const Dataset data = synthetic_dataset(64, 10);
  Setup setup("mlp", "sgd", data, {.epochs = 1, .lr = 1e30, .batch_size = 16});
  REQUIRE_THROWS_AS(setup.trainer->run(), LossNotFinite);
  CHECK(setup.trainer->state().history.empty());
}

TEST_CASE("the best epoch is the first with the highest test accuracy") {
  TrainingState state;
  CHECK(state.best() == nullptr);
  for (const double accuracy : {10.0, 30.0, 30.0, 20.0}) {
    EpochMetrics metrics;
    metrics.epoch = static_cast<std::int64_t>(state.history.size()) + 1;
    metrics.test_accuracy = accuracy;
    state.history.push_back(metrics);
  }
  REQUIRE(state.best() != nullptr);
  CHECK(state.best()->epoch == 2);
}
