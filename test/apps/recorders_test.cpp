// What a run keeps besides its metrics: rates, covariances, weights.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "apps/training/activation_covariance.h"
#include "apps/training/checkpoint.h"
#include "apps/training/trainer.h"
#include "core/options.h"
#include "kernels/parallel.h"
#include "program.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

std::vector<std::vector<double>> table(const std::string& csv) {
  std::vector<std::vector<double>> rows;
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');)
      rows.back().push_back(cell.empty() ? NAN : std::strtod(cell.c_str(), nullptr));
  }
  return rows;
}

// The inputs that a layer was shown, row below row.
struct InputProbe final : Probe {
  explicit InputProbe(std::string name) : layer(std::move(name)) {}
  void on_input(const WeightedLayer& shown, const Tensor& x) override {
    if (shown.name() != layer) return;
    const std::vector<double> values = x.to_doubles();
    rows.insert(rows.end(), values.begin(), values.end());
  }
  std::string layer;
  std::vector<double> rows;
};

const std::string small = " --data synthetic --train-samples 256 --test-samples 100 --batch-size 64 --threads 1 ";

}  // namespace

TEST_CASE("recorded rates: the largest increase and the distance between neighbouring steps") {
  kernels::set_threads(1);
  const Dataset data = synthetic_dataset(130, 20);
  auto model = make_model("lenet5", input_spec(data), DType::float64);
  auto optimizer = make_optimizer("adaact", *model);
  Trainer trainer(*model, *optimizer, data, {.epochs = 2, .lr = 0.1, .batch_size = 32, .keep = {.rates = true}});

  std::vector<std::vector<double>> p, expected;  // P after each step; the rows
  double before_lr = 0, step_lr = trainer.lr();
  std::string rows;
  trainer.on_step = [&] {
    p.emplace_back();
    for (const NamedTensor& layer : optimizer->rates()) {
      const std::vector<double> rates = layer.tensor.to_doubles();
      p.back().insert(p.back().end(), rates.begin(), rates.end());
    }
    if (p.size() > 1) {
      const std::vector<double>&now = p.back(), &before = p[p.size() - 2];
      std::vector<double> row = {step_lr, -1, -1, 0, 0};
      for (std::size_t j = 0; j < now.size(); ++j) {
        row[1] = std::max(row[1], step_lr * now[j] - before_lr * before[j]);
        row[2] = std::max(row[2], now[j] - before[j]);
        row[3] += std::abs(step_lr * now[j] - before_lr * before[j]);
        row[4] += std::abs(now[j] - before[j]);
      }
      expected.push_back(row);
    }
    before_lr = step_lr;
    step_lr = trainer.lr();
  };
  trainer.on_epoch = [&](const EpochMetrics& metrics) {
    step_lr = trainer.lr();
    for (const StepRecorder* recorder : trainer.recorders())
      if (recorder->file_name() == "effective_rates.csv")
        rows += recorder->csv_rows(metrics.epoch, 0, trainer.steps_per_epoch());
  };
  REQUIRE(trainer.run());

  const std::vector<std::vector<double>> recorded = table(rows);
  REQUIRE(recorded.size() == 10);
  CHECK(recorded[0].size() == 6);  // epoch, step, rate; nothing to compare with
  CHECK(std::isnan(recorded[0][3]));
  for (std::size_t step = 1; step < recorded.size(); ++step)
    for (std::size_t c = 0; c < 5; ++c) {
      INFO("step " << step << ", number " << c);
      CHECK(recorded[step][c + 2] == Approx(expected[step - 1][c]).epsilon(1e-12).margin(1e-15));
    }
  CHECK(recorded[5][2] == Approx(0.05));  // the cosine's second epoch of two
}

TEST_CASE("wherever a run is stopped, what it records has every row once") {
  kernels::set_threads(1);
  const Dataset data = synthetic_dataset(100, 20);
  TemporaryFolder folder;
  // Stops at the given question; how many were asked until the run's end.
  const auto record = [&](const std::string& name, int stop_at) {
    const std::string directory = folder.file(name), checkpoint = directory + "/checkpoint";
    std::filesystem::create_directory(directory);
    int questions = 0;
    for (bool finished = false; !finished;) {
      auto model = make_model("lenet5", input_spec(data));
      auto optimizer = make_optimizer("adaact", *model);
      Trainer trainer(*model, *optimizer, data,
                      {.epochs = 2, .batch_size = 32, .keep = {.activation_variance = true, .rates = true}});
      if (questions > 0) trainer.set_state(load_checkpoint(checkpoint, *model, *optimizer, {}));
      std::vector<StepFile> files;
      for (const StepRecorder* recorder : trainer.recorders())
        files.emplace_back(directory, *recorder, trainer.state().epoch, trainer.steps_done(),
                           trainer.steps_per_epoch());
      trainer.on_epoch = [&](const EpochMetrics& metrics) {
        for (StepFile& file : files) file.append(metrics.epoch, trainer.steps_per_epoch(), true);
      };
      trainer.stop = [&] { return ++questions == stop_at; };
      finished = trainer.run();
      if (finished) continue;
      for (StepFile& file : files) file.append(trainer.state().epoch + 1, trainer.steps_done(), false);
      save_checkpoint(checkpoint, *model, *optimizer, trainer.state(), {});
    }
    return questions;
  };
  const int asked = record("whole", 0);
  REQUIRE(asked >= 10);  // each of two epochs: behind four steps, and in the test
  for (int stop_at = 1; stop_at <= asked; ++stop_at) {
    const std::string name = "stopped" + std::to_string(stop_at);
    record(name, stop_at);
    for (const char* file : {"/activation_variance.csv", "/effective_rates.csv", "/preconditioner.csv"}) {
      INFO(name << file);
      CHECK(contents(folder.file(name) + file) == contents(folder.file("whole") + file));
    }
  }
}

TEST_CASE("only methods with one rate per input have rates to record") {
  const Dataset data = synthetic_dataset(32, 10);
  auto model = make_model("lenet5", input_spec(data));
  auto optimizer = make_optimizer("adam", *model);
  CHECK_THROWS_AS(Trainer(*model, *optimizer, data, {.keep = {.rates = true}}), UserError);
}

TEST_CASE("recorded covariances are means of x xᵀ over the test images") {
  kernels::set_threads(1);
  const Dataset data = synthetic_dataset(32, 70);
  auto model = make_model("lenet5", input_spec(data), DType::float64, 5);
  TemporaryFolder folder;
  write_activation_covariance(*model, data, kernels::ConvEngine::automatic, folder.file("covariance"), 1);
  write_activation_covariance(*model, data, kernels::ConvEngine::automatic, folder.file("covariance"), 1);

  InputProbe seen("fc2");
  Loader loader(data.test, data.mean, data.std,
                {.batch_size = 500, .shuffle = false, .augment = false, .dtype = DType::float64});
  loader.start(0);
  Batch batch;
  REQUIRE(loader.next(batch));
  Pass pass{.training = true, .primary = false, .probe = &seen};
  model->forward(pass, batch.x);

  const std::size_t d = 120, n = 70;
  const auto a = table(contents(folder.file("covariance/epoch1_fc2.csv")));
  REQUIRE(a.size() == d);
  double diagonal = 0, all = 0;
  for (std::size_t i = 0; i < d; ++i) {
    REQUIRE(a[i].size() == d);
    for (std::size_t j = 0; j < d; ++j) {
      double mean = 0;
      for (std::size_t row = 0; row < n; ++row) mean += seen.rows[row * d + i] * seen.rows[row * d + j] / n;
      if (std::abs(a[i][j] - mean) > 1e-5 * std::abs(mean) + 1e-12) FAIL("(" << i << ", " << j << ")");
      all += std::abs(mean);
      if (i == j) diagonal += mean;
    }
  }
  // conv2, fc1, fc2, fc3, once although epoch 1 was written twice.
  const std::string shares = contents(folder.file("covariance/diagonal_share.csv"));
  CHECK(std::count(shares.begin(), shares.end(), '\n') == 5);
  CHECK(shares.rfind("epoch,layer,size,share,random_share\n1,conv2,150,", 0) == 0);
  const std::size_t row = shares.find("1,fc2,120,");
  REQUIRE(row != std::string::npos);
  CHECK(std::strtod(shares.c_str() + row + 10, nullptr) == Approx(diagonal / all).epsilon(1e-5));
}

TEST_CASE("a replaced example changes the run, and must exist") {
  TemporaryFolder folder;
  const std::string common = "--model mlp --hidden 8 --epochs 1" + small;
  for (const char* name : {"plain", "twin", "again"})
    CHECK(run("train",
              common + "--out " + folder.file(name) + (std::string(name) == "plain" ? "" : " --replace-example 3"))
              .code == 0);
  const auto metrics = [&](const char* name) { return without_times(contents(folder.file(name) + "/metrics.csv")); };
  CHECK(metrics("twin") != metrics("plain"));
  CHECK(metrics("twin") == metrics("again"));
  const Result result = run("train", common + "--replace-example 256 --out " + folder.file("none"));
  CHECK(result.code == 2);
  CHECK(result.err == "train: --replace-example: there are 256 training images\n");
  CHECK(!std::filesystem::exists(folder.file("none")));
}

TEST_CASE("weights of every second epoch, and covariances of three") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run");
  CHECK(run("train", "--model mlp --hidden 8 --epochs 4 --save-every 2 --record activation-covariance" + small +
                         "--out " + directory)
            .code == 0);
  CHECK(!std::filesystem::exists(directory + "/epoch_0001.safetensors"));
  CHECK(std::filesystem::exists(directory + "/epoch_0002.safetensors"));
  CHECK(contents(directory + "/epoch_0004.safetensors") == contents(directory + "/model.safetensors"));
  for (int epoch = 0; epoch <= 4; ++epoch)
    CHECK(std::filesystem::exists(directory + "/activation_covariance/epoch" + std::to_string(epoch) + "_fc2.csv") ==
          (epoch <= 1 || epoch == 4));
  const Result result = run("train", "--record rate" + small);
  CHECK(result.code == 2);
  CHECK(result.err.rfind("train: --record: unknown recording 'rate': did you mean 'rates'?", 0) == 0);
  CHECK(run("train", "--record rates," + small).code == 2);
}

TEST_CASE("recorded covariances of convolutions have PyTorch's order of inputs") {
  kernels::set_threads(1);
  const Dataset data = synthetic_dataset(32, 5);
  auto model = make_model("lenet5", input_spec(data), DType::float64, 5);
  TemporaryFolder folder;
  write_activation_covariance(*model, data, kernels::ConvEngine::automatic, folder.path(), 0);
  InputProbe seen("conv2");
  Loader loader(data.test, data.mean, data.std,
                {.batch_size = 5, .shuffle = false, .augment = false, .dtype = DType::float64});
  loader.start(0);
  Batch batch;
  REQUIRE(loader.next(batch));
  Pass pass{.training = true, .primary = false, .probe = &seen};
  model->forward(pass, batch.x);

  // The patch of each of 10x10 output positions; x is (5, 14, 14, 6).
  const auto a = table(contents(folder.file("epoch0_conv2.csv")));
  REQUIRE(a.size() == 150);
  const auto input = [&](int image, int y, int x, int i) {
    const int c = i / 25, ky = i / 5 % 5, kx = i % 5;
    return seen.rows[static_cast<std::size_t>(((image * 14 + y + ky) * 14 + x + kx) * 6 + c)];
  };
  for (const auto& [i, j] : {std::pair{0, 1}, {1, 6}, {25, 24}, {149, 7}, {77, 130}}) {
    double mean = 0;
    for (int image = 0; image < 5; ++image)
      for (int y = 0; y < 10; ++y)
        for (int x = 0; x < 10; ++x) mean += input(image, y, x, i) * input(image, y, x, j) / 500;
    CHECK(a[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] == Approx(mean).epsilon(1e-5));
  }
}
