#include "apps/optimise/problem.h"

#include <cmath>
#include <numbers>

#include "apps/training/trainer.h"
#include "core/random.h"
#include "data/loader.h"
#include "kernels/elementwise.h"
#include "layers/functions/squared_error.h"
#include "layers/models/lstm.h"

namespace actgrad {
namespace {

// Of a start: as many epochs, batches or draws of dropout as it can ever need, so that those of no two starts meet.
constexpr std::int64_t most_batches = std::int64_t{1} << 20;
constexpr int dropout_streams = 8;  // bits

constexpr double spread = 0.1;  // of the first parameters

class Images final : public Problem {
 public:
  Images(std::unique_ptr<Model> model, const Dataset& data, const std::vector<double>& offset,
         const ProblemOptions& options)
      : Problem(std::move(model), options),
        train_(on_device(first_images(data.train, options.train_samples), options.device), offset,
               std::vector<double>(offset.size(), 1.0),
               {.batch_size = options.batch_size, .seed = options.seed, .prefetch = false}),
        test_(on_device(data.test, options.device), offset, std::vector<double>(offset.size(), 1.0),
              {.batch_size = options.batch_size, .shuffle = false, .prefetch = false}),
        batches_per_epoch_(first_images(data.train, options.train_samples).size() / options.batch_size) {
    if (batches_per_epoch_ == 0) throw UserError("--batch-size: there are fewer training images than that");
  }

  std::optional<Accuracy> accuracy() override {
    std::int64_t first = 0, second = 0, images = 0;
    double loss = 0;
    test_.start(0);
    for (Batch batch; test_.next(batch); images += batch.size()) {
      Pass pass;
      const Variable result = model_->forward(pass, batch.x);
      loss += static_cast<double>(batch.size()) * cross_entropy(pass, result, batch.labels).mean();
      const std::vector<float> logits = result.value().to_vector<float>();
      const std::vector<std::int32_t> labels = batch.labels.to_vector<std::int32_t>();
      for (std::size_t i = 0; i < labels.size(); ++i) {
        const std::size_t classes = logits.size() / labels.size();
        const float* const row = logits.data() + i * classes;
        std::int64_t above = 0;  // logits that are not below the label's
        for (std::size_t c = 0; c < classes; ++c) above += !(row[c] < row[labels[i]]);
        first += above <= 1;
        second += above <= 2;
      }
    }
    const double percent = 100 / static_cast<double>(images);
    return Accuracy{percent * static_cast<double>(first), percent * static_cast<double>(second),
                    loss / static_cast<double>(images)};
  }

 private:
  void place(std::int64_t start) override {
    epoch_ = start * most_batches;
    batch_ = 0;
    train_.start(epoch_);
  }

  // A last, smaller batch of an epoch is left out.
  void take_batch() override {
    if (batch_ == batches_per_epoch_) {
      train_.start(++epoch_);
      batch_ = 0;
    }
    train_.place(batch_++);
    ACTGRAD_CHECK(train_.next(images_), "no batch");
  }

  Loss loss_of_batch(Pass& pass) override {
    return cross_entropy(pass, model_->forward(pass, images_.x), images_.labels);
  }

  Loader train_, test_;
  std::int64_t batches_per_epoch_, epoch_ = 0, batch_ = 0;
  Batch images_;
};

// f(k) = A sin(ωk + φ): from f(0), …, f(9) with noise, f(10) without; A ~ U(0, 10), ω ~ U(0, π/2), φ ~ U(0, 2π).
class SineWaves final : public Problem {
 public:
  SineWaves(std::int64_t layers, double noise, const ProblemOptions& options)
      : Problem(std::make_unique<Model>(std::make_unique<LstmPredictor>(layers, units),
                                        InputSpec{.height = samples, .width = 1, .channels = 1, .classes = 1},
                                        DType::float32, options.seed, options.device),
                options),
        noise_(noise) {}

 private:
  static constexpr std::int64_t units = 20, samples = 10;

  void place(std::int64_t start) override { next_ = start * most_batches; }

  void take_batch() override {
    Random random(options_.seed, Purpose::synthetic, static_cast<std::uint64_t>(next_++));
    const std::int64_t n = options_.batch_size;
    Tensor x = Tensor::empty({samples, n, 1, 1}, DType::float32), y = Tensor::empty({1, n}, DType::float32);
    for (std::int64_t i = 0; i < n; ++i) {
      const double phase = random.uniform(0, 2 * std::numbers::pi);
      const double frequency = random.uniform(0, std::numbers::pi / 2);
      const double amplitude = random.uniform(0, 10);
      const auto f = [&](std::int64_t k) { return amplitude * std::sin(static_cast<double>(k) * frequency + phase); };
      for (std::int64_t k = 0; k < samples; ++k)
        x.data<float>()[k * n + i] = static_cast<float>(f(k) + noise_ * random.normal());
      y.data<float>()[i] = static_cast<float>(f(samples));
    }
    waves_ = x.to(options_.device);
    next_values_ = y.to(options_.device);
  }

  Loss loss_of_batch(Pass& pass) override { return squared_error(pass, model_->forward(pass, waves_), next_values_); }

  double noise_;
  std::int64_t next_ = 0;
  Tensor waves_, next_values_;
};

}  // namespace

void Problem::begin(std::int64_t number) {
  start_ = number;
  batches_ = 0;
  Random random(options_.seed, Purpose::init, static_cast<std::uint64_t>(number));
  for (const Parameter* parameter : model_->parameters().list()) {
    std::vector<double> values(static_cast<std::size_t>(parameter->numel()));
    for (double& value : values) value = spread * random.normal();
    Tensor to = parameter->value();
    kernels::cast(Tensor::from(parameter->shape, values).to(options_.device), to);
  }
  model_->parameters().clear_gradients();
  place(number);
}

void Problem::next_batch() {
  take_batch();
  dropout_first_.set((static_cast<std::uint64_t>(start_ * most_batches) + batches_++) << dropout_streams);
}

Loss Problem::loss(Pass& pass) {
  pass.seed = options_.seed;
  pass.dropout_first = dropout_first_;
  return loss_of_batch(pass);
}

double Problem::mean_loss(std::int64_t batches) {
  place(start_);
  double sum = 0;
  for (std::int64_t b = 0; b < batches; ++b) {
    next_batch();
    Pass pass{.training = true};
    sum += loss(pass).mean();
  }
  return sum / static_cast<double>(batches);
}

std::unique_ptr<Problem> make_problem(const Task& task, const ProblemOptions& options) {
  if (task.lstm_layers > 0) return std::make_unique<SineWaves>(task.lstm_layers, task.noise, options);
  const Dataset data = load_dataset(options.synthetic ? "synthetic" : task.data, options.data_dir);
  const Shape& images = data.train.images.shape();
  const InputSpec input{images[1], images[2], images[3], data.classes};
  Options model_table(model_options(task.model));
  for (const GivenOption& option : task.model_options) model_table.set_text(option.name, option.text);
  const std::vector<double> offset(static_cast<std::size_t>(images[3]), task.pixel_offset);
  auto model = make_model(task.model, input, DType::float32, options.seed, model_table, options.device);
  refuse_single_images(*model, model_table, "test", data.test.size(), options.batch_size, "--batch-size");
  return std::make_unique<Images>(std::move(model), data, offset, options);
}

}  // namespace actgrad
