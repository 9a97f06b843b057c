#include "apps/training/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/memory.h"
#include "layers/functions/cross_entropy.h"

namespace actgrad {
namespace {

double percent(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

const EpochMetrics* TrainingState::best() const {
  const auto best = std::max_element(history.begin(), history.end(), [](const EpochMetrics& a, const EpochMetrics& b) {
    return a.test_accuracy < b.test_accuracy;
  });
  return best == history.end() ? nullptr : &*best;
}

InputSpec input_spec(const Dataset& data) {
  const Shape& images = data.train.images.shape();
  return {.height = images[1], .width = images[2], .channels = images[3], .classes = data.classes};
}

std::optional<Evaluation> evaluate(Model& model, const ImageSet& set, const Dataset& normalisation,
                                   kernels::ConvEngine engine, const std::function<bool()>& stop,
                                   const std::function<void(const Tensor&)>& on_logits, std::int64_t batch_size) {
  Loader loader(set, normalisation.mean, normalisation.std,
                {.batch_size = batch_size, .shuffle = false, .augment = false, .dtype = model.dtype()});
  loader.start(0);
  double loss_sum = 0;
  std::int64_t correct = 0;
  for (Batch batch; loader.next(batch);) {
    if (stop && stop()) return std::nullopt;
    Pass pass{.conv_engine = engine};
    const Variable logits = model.forward(pass, batch.x);
    const Loss loss = cross_entropy(pass, logits, batch.labels);
    loss_sum += loss.value * static_cast<double>(batch.size());
    correct += loss.correct;
    if (on_logits) on_logits(logits.value());
  }
  return Evaluation{loss_sum / static_cast<double>(set.size()), percent(correct, set.size())};
}

Trainer::Trainer(Model& model, Optimizer& optimizer, const Dataset& data, const TrainingOptions& options)
    : model_(model),
      optimizer_(optimizer),
      data_(data),
      options_(options),
      loader_(data.train, data.mean, data.std,
              {.batch_size = options.batch_size,
               .shuffle = options.shuffle,
               .augment = options.augment.value_or(data.augment),
               .seed = options.seed,
               .dtype = model.dtype()}) {}

bool Trainer::run() {
  stopwatch_ = Stopwatch();
  while (state_.epoch < options_.epochs) {
    if (!train_epoch() || !finish_epoch()) {
      add_elapsed();
      return false;
    }
  }
  return true;
}

void Trainer::add_elapsed() {
  state_.elapsed_seconds += stopwatch_.lap();
}

// The rest of the epoch's steps. False when stopped.
bool Trainer::train_epoch() {
  Stopwatch stopwatch;
  loader_.start(state_.epoch, state_.batch);
  while (state_.batch < batches()) {
    step();
    state_.train_seconds += stopwatch.lap();
    if (on_step) on_step();
    if (stopping()) return false;
  }
  return true;
}

// One optimizer step on the next `accumulate` batches (at the epoch's end: those that are left). Each counts by its
// share of the samples, so that the gradients add up to that of the mean loss over all of them.
void Trainer::step() {
  const std::int64_t count = std::min(options_.accumulate, batches() - state_.batch);
  const std::int64_t first = state_.batch * options_.batch_size;
  const std::int64_t samples = std::min(first + count * options_.batch_size, data_.train.size()) - first;
  Batch batch;
  for (std::int64_t i = 0; i < count; ++i) {
    ACTGRAD_CHECK(loader_.next(batch), "the loader ends before the epoch does");
    state_.loss_sum += static_cast<double>(batch.size()) *
                       forward_backward(batch, static_cast<double>(batch.size()) / static_cast<double>(samples));
    state_.samples += batch.size();
    ++state_.batch;
  }
  optimizer_.step(lr());
  model_.parameters().clear_gradients();
}

// Adds the gradient of share · loss to the parameters' gradients; returns the loss.
double Trainer::forward_backward(const Batch& batch, double share) {
  Tape tape;
  const auto number = static_cast<std::uint64_t>(state_.epoch * batches() + state_.batch);
  Pass pass{.tape = &tape,
            .training = true,
            .probe = &optimizer_,
            .conv_engine = options_.conv_engine,
            .seed = options_.seed,
            .dropout_stream = number << 8};
  const Variable logits = model_.forward(pass, batch.x);
  const Loss loss = cross_entropy(pass, logits, batch.labels, share);
  if (!std::isfinite(loss.value))
    throw LossNotFinite("the loss is " + std::to_string(loss.value) + " in epoch " + std::to_string(state_.epoch + 1) +
                        ", batch " + std::to_string(state_.batch + 1));
  state_.correct += loss.correct;
  tape.backward({loss.seed});
  return loss.value;
}

// Tests the model and adds the epoch to the history. False when stopped before the end of the test.
bool Trainer::finish_epoch() {
  const auto test = evaluate(model_, data_.test, data_, options_.conv_engine, stop);
  if (!test) return false;
  if (!std::isfinite(test->loss))
    throw LossNotFinite("the test loss is " + std::to_string(test->loss) + " after epoch " +
                        std::to_string(state_.epoch + 1));

  add_elapsed();
  EpochMetrics metrics;
  metrics.epoch = state_.epoch + 1;
  metrics.lr = lr();
  metrics.train_loss = state_.loss_sum / static_cast<double>(state_.samples);
  metrics.train_accuracy = percent(state_.correct, state_.samples);
  metrics.test_loss = test->loss;
  metrics.test_accuracy = test->accuracy;
  metrics.train_seconds = state_.train_seconds;
  metrics.elapsed_seconds = state_.elapsed_seconds;
  metrics.peak_memory_bytes = memory_statistics().peak_bytes;

  state_.history.push_back(metrics);
  ++state_.epoch;
  state_.batch = state_.correct = state_.samples = 0;
  state_.loss_sum = state_.train_seconds = 0;
  if (on_epoch) on_epoch(metrics);
  return true;
}

}  // namespace actgrad
