#include "apps/training/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/memory.h"
#include "kernels/elementwise.h"
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

// Other batch normalisations have running statistics, and several positions in each image.
void refuse_single_images(const Model& model, const Options& options, const std::string& what, std::int64_t images,
                          std::int64_t batch_size, const std::string& remedy) {
  const bool standardises = options.contains("batch-norm") && options.flag("batch-norm") && model.buffers().empty();
  if (!standardises || (batch_size > 1 && images % batch_size != 1)) return;
  throw UserError(std::to_string(images) + " " + what + " images in batches of " + std::to_string(batch_size) +
                  " leave one alone, which batch normalisation cannot standardise: change " + remedy);
}

std::optional<Evaluation> evaluate(Model& model, const ImageSet& set, const Dataset& normalisation,
                                   kernels::ConvEngine engine, const std::function<bool()>& stop,
                                   const std::function<void(const Tensor&)>& on_logits, std::int64_t batch_size) {
  const Device device = model.parameters().device();
  Loader loader(on_device(set, device), normalisation.mean, normalisation.std,
                {.batch_size = batch_size, .shuffle = false, .augment = false, .dtype = model.dtype()});
  loader.start(0);
  Tensor totals = Tensor::zeros({2}, DType::float64, device);
  for (Batch batch; loader.next(batch);) {
    if (stop && stop()) return std::nullopt;
    Pass pass{.conv_engine = engine};
    const Variable logits = model.forward(pass, batch.x);
    kernels::copy(cross_entropy(pass, logits, batch.labels).sums, totals, Write::accumulate);
    if (on_logits) on_logits(logits.value());
  }
  const std::vector<double> sums = totals.to_vector<double>();
  return Evaluation{sums[0] / static_cast<double>(set.size()), percent(static_cast<std::int64_t>(sums[1]), set.size())};
}

Trainer::Trainer(Model& model, Optimizer& optimizer, const Dataset& data, const TrainingOptions& options)
    : model_(model),
      optimizer_(optimizer),
      data_(data),
      options_(options),
      device_(model.parameters().device()),
      test_(on_device(data.test, device_)),
      loader_(on_device(data.train, device_), data.mean, data.std,
              {.batch_size = options.batch_size,
               .shuffle = options.shuffle,
               .augment = options.augment.value_or(data.augment),
               .seed = options.seed,
               .dtype = model.dtype()}),
      dropout_first_(device_),
      activations_(options.keep.activation_variance ? std::make_optional<ActivationRecorder>(model, steps_per_epoch())
                                                    : std::nullopt),
      step_(
          model, optimizer,
          {.record = options.record, .clip_norm = options.clip_norm, .watch = activations_ ? &*activations_ : nullptr}),
      totals_(Tensor::zeros({2}, DType::float64, device_)) {
  if (activations_) recorders_.push_back(&*activations_);
  if (!options.keep.rates) return;
  recorders_.push_back(&rates_.emplace(optimizer, steps_per_epoch()));
  recorders_.push_back(&preconditioner_.emplace(optimizer, steps_per_epoch()));
}

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

// Of the step that begins with this batch of the epoch.
double Trainer::lr_at(std::int64_t epoch, std::int64_t batch) const {
  const double part = static_cast<double>(batch) / static_cast<double>(batches());
  return options_.schedule.rate(options_.lr, static_cast<double>(epoch) + part, options_.epochs);
}

// Of the step before the next one; 0 before the first.
double Trainer::lr_before() const {
  if (state_.epoch == 0 && state_.batch == 0) return 0;
  const std::int64_t step = state_.batch == 0 ? steps_per_epoch() : steps_done();
  return lr_at(state_.epoch - (state_.batch == 0), (step - 1) * options_.accumulate);
}

void Trainer::add_elapsed() {
  state_.elapsed_seconds += stopwatch_.lap();
}

// The rest of the epoch's steps. False when stopped.
bool Trainer::train_epoch() {
  Stopwatch stopwatch;
  loader_.start(state_.epoch, state_.batch);
  totals_.copy_from(Tensor::from<double>({2}, {state_.loss_sum, static_cast<double>(state_.correct)}));
  samples_ = state_.samples;
  for (StepRecorder* recorder : recorders_) recorder->start(steps_done(), lr_before());
  bool stopped = false;
  while (state_.batch < batches() && !stopped) {
    step();
    stopped = stopping();
    read_totals(/*wait=*/stopped || state_.batch == batches());
    state_.train_seconds += stopwatch.lap();
    if (on_step) on_step();
  }
  return !stopped;
}

// One optimizer step on the next `accumulate` batches (at the epoch's end: those that are left). What differs from the
// last step of its kind is set before; the rest is work for the device, which may have been recorded.
void Trainer::step() {
  const std::int64_t count = std::min(options_.accumulate, batches() - state_.batch);
  const std::int64_t first = state_.batch * options_.batch_size;
  const std::int64_t samples = std::min(first + count * options_.batch_size, data_.train.size()) - first;
  loader_.place(state_.batch);
  dropout_first_.set(static_cast<std::uint64_t>(state_.epoch * batches() + state_.batch) << 8);
  std::vector<Batch> kept;  // for the next passes of a step that has several
  step_.run(lr(), samples, count, [&](const Pass& pass) {
    for (std::int64_t i = 0; i < count; ++i) {
      Batch batch;
      if (i < std::ssize(kept))
        batch = kept[static_cast<std::size_t>(i)];
      else
        ACTGRAD_CHECK(loader_.next(batch), "the loader ends before the epoch does");
      if (i == std::ssize(kept) && optimizer_.gradient_passes() > 1) kept.push_back(batch);
      forward_backward(pass, batch, i, samples);
    }
  });
  for (StepRecorder* recorder : recorders_) recorder->end_step(steps_done(), lr());
  state_.batch += count;
  samples_ += samples;
}

// Adds the gradient of the loss of one of the step's batches to the parameters' gradients. Each batch counts by its
// share of the step's samples, so that the gradients add up to that of the mean loss over all of them.
void Trainer::forward_backward(const Pass& settings, const Batch& batch, std::int64_t micro_batch,
                               std::int64_t samples) {
  Tape tape;
  Pass pass = settings;
  pass.tape = &tape;
  pass.conv_engine = options_.conv_engine;
  pass.seed = options_.seed;
  pass.dropout_first = dropout_first_;
  pass.dropout_offset = static_cast<std::uint64_t>(micro_batch) << 8;
  const Variable logits = model_.forward(pass, batch.x);
  const Loss loss =
      cross_entropy(pass, logits, batch.labels, static_cast<double>(batch.size()) / static_cast<double>(samples));
  // Where that costs nothing, a loss that is not finite is seen before the model is spoilt.
  if (device_.is_cpu() && !std::isfinite(loss.mean()))
    throw LossNotFinite("the loss is " + std::to_string(loss.mean()) + " in epoch " + std::to_string(state_.epoch + 1) +
                        ", batch " + std::to_string(state_.batch + micro_batch + 1));
  if (pass.primary) kernels::copy(loss.sums, totals_, Write::accumulate);
  tape.backward({loss.seed});
}

// Brings the state's sums up to date: on the CPU, or to wait for the device, at once; else as they arrive, without ever
// waiting, a few times a second.
void Trainer::read_totals(bool wait) {
  constexpr double interval = 0.25;  // seconds
  if (device_.is_cpu() || wait) {
    reading_ = {};
    return take_totals(totals_.to_vector<double>().data(), samples_);
  }
  if (reading_.totals && reading_.totals->ready()) {
    take_totals(static_cast<const double*>(reading_.totals->bytes()), reading_.samples);
    reading_ = {};
  }
  if (!reading_.totals && since_reading_.seconds() > interval) {
    reading_ = {device_backend().read_later(totals_.raw(), totals_.bytes()), samples_};
    since_reading_.lap();
  }
}

void Trainer::take_totals(const double* totals, std::int64_t samples) {
  if (!std::isfinite(totals[0]))
    throw LossNotFinite("the loss is " + std::to_string(totals[0]) + " in epoch " + std::to_string(state_.epoch + 1) +
                        ", at batch " + std::to_string((samples + options_.batch_size - 1) / options_.batch_size) +
                        " or before");
  state_.loss_sum = totals[0];
  state_.correct = static_cast<std::int64_t>(totals[1]);
  state_.samples = samples;
}

// Tests the model and adds the epoch to the history. False when stopped before the end of the test.
bool Trainer::finish_epoch() {
  const auto test = evaluate(model_, test_, data_, options_.conv_engine, stop);
  if (!test) return false;
  if (!std::isfinite(test->loss))
    throw LossNotFinite("the test loss is " + std::to_string(test->loss) + " after epoch " +
                        std::to_string(state_.epoch + 1));

  add_elapsed();
  EpochMetrics metrics;
  metrics.epoch = state_.epoch + 1;
  metrics.lr = lr_at(state_.epoch, 0);
  metrics.train_loss = state_.loss_sum / static_cast<double>(state_.samples);
  metrics.train_accuracy = percent(state_.correct, state_.samples);
  metrics.test_loss = test->loss;
  metrics.test_accuracy = test->accuracy;
  metrics.train_seconds = state_.train_seconds;
  metrics.elapsed_seconds = state_.elapsed_seconds;
  metrics.peak_memory_bytes = memory_statistics(device_).peak_bytes;

  state_.history.push_back(metrics);
  ++state_.epoch;
  state_.batch = state_.correct = state_.samples = 0;
  state_.loss_sum = state_.train_seconds = 0;
  if (on_epoch) on_epoch(metrics);
  return true;
}

}  // namespace actgrad
