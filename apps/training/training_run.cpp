#include "apps/training/training_run.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "apps/training/activation_covariance.h"
#include "apps/training/checkpoint.h"
#include "apps/training/progress.h"
#include "apps/training/run_directory.h"
#include "apps/training/signals.h"
#include "core/atomic_file.h"
#include "core/device_backend.h"
#include "kernels/elementwise.h"
#include "optim/hyperadam/learned_optimizer.h"

namespace actgrad {
namespace {

// The training set differs in one example then: another one that was drawn from the same distribution.
void replace_example(Dataset& data, std::int64_t example) {
  if (example >= data.train.size())
    throw UserError("--replace-example: there are " + std::to_string(data.train.size()) + " training images");
  data.train.images.slice(example, example + 1).copy_from(data.test.images.slice(0, 1));
  data.train.labels.slice(example, example + 1).copy_from(data.test.labels.slice(0, 1));
}

Dataset load_data(const RunConfig& config) {
  Dataset data = load_dataset(config.data_name(), config.run.text("data-dir"));
  data.train = first_images(data.train, config.run.integer("train-samples"));
  data.test = first_images(data.test, config.run.integer("test-samples"));
  if (const std::int64_t example = config.run.integer("replace-example"); example >= 0) replace_example(data, example);
  std::printf("%s\n", describe_data(config, data).c_str());
  return data;
}

std::unique_ptr<Model> build_model(const RunConfig& config, const Dataset& data) {
  auto model = make_model(config.model_name(), input_spec(data), config.dtype(),
                          static_cast<std::uint64_t>(config.run.integer("seed")), config.model, config.device());
  refuse_single_images(*model, config.model, "training", data.train.size(), config.run.integer("batch-size"),
                       "--batch-size or --train-samples");
  refuse_single_images(*model, config.model, "test", data.test.size(), test_batch_size, "--test-samples");
  return model;
}

// What the run's checkpoints belong to: the weights of a learned optimizer too, whose file may hold others by the time
// that the run goes on.
RunIdentity identity_of(const RunConfig& config) {
  RunIdentity identity = config.identity();
  if (const std::string& rule = config.base_optimizer_name(); is_learned(rule))
    identity[weights_identity] = learned_weights_id(rule, config.optimizer.text("weights"));
  return identity;
}

TrainingOptions training_options(const RunConfig& config) {
  return {.epochs = config.run.integer("epochs"),
          .lr = config.optimizer.number("lr"),
          .schedule = config.schedule(),
          .clip_norm = config.run.number("clip-norm"),
          .batch_size = config.run.integer("batch-size"),
          .accumulate = config.run.integer("accumulate"),
          .shuffle = config.run.flag("shuffle"),
          .augment = config.run.flag("augment"),
          .seed = static_cast<std::uint64_t>(config.run.integer("seed")),
          .conv_engine = config.conv_engine(),
          .record = config.run.flag("graph"),
          .keep = Recordings::parse(config.run.text("record"))};
}

std::string epoch_file(std::int64_t epoch) {
  char name[64];
  std::snprintf(name, sizeof name, "epoch_%04lld.safetensors", static_cast<long long>(epoch));
  return name;
}

std::string describe_run(const RunConfig& config, const Model& model) {
  std::string text = "model: " + config.model_name() + ", " + std::to_string(model.parameters().count()) +
                     " parameters\n" + "optimizer: " + config.optimizer_name();
  for (const Option& option : config.optimizer.table())
    text += (option.name == config.optimizer.table().front().name ? " (" : ", ") + option.name + " " +
            to_text(config.optimizer.value(option.name));
  return text + ")\n";
}

// A run with everything that it consists of. The directory comes last, so that a mistake in the options leaves none
// behind.
class Run {
 public:
  explicit Run(const RunConfig& config)
      : config_(config),
        identity_(identity_of(config)),
        data_(load_data(config)),
        model_(build_model(config, data_)),
        optimizer_(make_optimizer(config.optimizer_name(), *model_, config.optimizer)),
        trainer_(*model_, *optimizer_, data_, training_options(config)) {}

  // The weights that --init names, if it does.
  void initialise() {
    if (const std::string& file = config_.run.text("init"); !file.empty()) model_->load(file);
  }

  void use(RunDirectory directory) {
    directory_.emplace(std::move(directory));
    config_.run.set("out", directory_->path());
    std::printf("%srun: %s, %s, %s\n", describe_run(config_, *model_).c_str(), directory_->path().c_str(),
                describe_device().c_str(), config_.run.text("precision").c_str());
    std::fflush(stdout);
  }

  // The state of the last checkpoint. A run that was killed before its first one starts again.
  void restore() {
    if (!std::filesystem::exists(directory_->checkpoint()) && !std::filesystem::exists(directory_->file("metrics.csv")))
      return initialise();
    trainer_.set_state(load_checkpoint(directory_->checkpoint(), *model_, *optimizer_, identity_));
    const TrainingState& state = trainer_.state();
    if (state.epoch > config_.run.integer("epochs"))
      throw UserError("--epochs: " + std::to_string(state.epoch) + " are done already");
    std::printf("resumed after epoch %lld, batch %lld\n", static_cast<long long>(state.epoch),
                static_cast<long long>(state.batch));
  }

  RunOutcome train() {
    write_file_atomically(directory_->file("config.json"), config_.to_json());
    for (const StepRecorder* recorder : trainer_.recorders())
      step_files_.emplace_back(directory_->path(), *recorder, trainer_.state().epoch, trainer_.steps_done(),
                               trainer_.steps_per_epoch());
    if (trainer_.state().epoch == 0 && trainer_.state().batch == 0) save_covariance();
    save_state();
    write_file_atomically(directory_->file("metrics.csv"), metrics_csv(trainer_.state().history));
    if (trainer_.state().epoch > 0) save_summary();  // a process killed before it may have left an older one
    Progress progress(trainer_);
    trainer_.on_step = [&] { progress.step(); };
    trainer_.on_epoch = [&](const EpochMetrics& metrics) {
      progress.epoch(metrics);
      save_epoch();
    };
    trainer_.stop = [] { return stop_signal() != 0; };
    try {
      const bool finished = trainer_.run();
      if (!finished) save_stopped();
      return {finished, trainer_.state(), directory_->path()};
    } catch (const LossNotFinite& error) {
      throw LossNotFinite(std::string(error.what()) + ": training stops; the last good state stays in " +
                          directory_->checkpoint() + " (a smaller --lr may help)");
    } catch (const InternalError& error) {
      throw InternalError(std::string(error.what()) + ": training stops; the last good state stays in " +
                          directory_->checkpoint() + " (go on with: train --resume " + directory_->path() + ")");
    }
  }

 private:
  std::string describe_device() const {
    const Device device = model_->parameters().device();
    if (device.is_cpu()) return std::to_string(config_.run.integer("threads")) + " CPU threads";
    return describe(device);
  }

  // At the beginning, after the first epoch and at the end.
  void save_covariance() {
    if (trainer_.options().keep.activation_covariance)
      write_activation_covariance(*model_, data_, trainer_.options().conv_engine,
                                  directory_->file("activation_covariance"), trainer_.state().epoch);
  }

  void save_state() { save_checkpoint(directory_->checkpoint(), *model_, *optimizer_, trainer_.state(), identity_); }

  // The checkpoint comes after the other files: a process killed before it repeats the epoch, and writes the same
  // again. The summary comes last: once it says that all epochs are done, everything is there.
  void save_epoch() {
    const TrainingState& state = trainer_.state();
    model_->save(directory_->file("model.safetensors"));
    if (state.best()->epoch == state.epoch) model_->save(directory_->file("best.safetensors"));
    write_file_atomically(directory_->file("metrics.csv"), metrics_csv(state.history));
    for (StepFile& file : step_files_) file.append(state.epoch, trainer_.steps_per_epoch(), /*complete=*/true);
    if (state.epoch == 1 || state.epoch == config_.run.integer("epochs")) save_covariance();
    if (const std::int64_t every = config_.run.integer("save-every"); every > 0 && state.epoch % every == 0)
      model_->save(directory_->file(epoch_file(state.epoch)));
    save_state();
    save_summary();
  }

  void save_summary() {
    write_file_atomically(directory_->file("summary.json"),
                          summary_json(config_, *model_, *optimizer_, trainer_.state()));
  }

  // In the middle of an epoch no loss has been computed yet from the latest weights.
  void save_stopped() {
    if (!kernels::all_finite(model_->parameters().values()))
      throw LossNotFinite("the weights are not finite in epoch " + std::to_string(trainer_.state().epoch + 1));
    for (StepFile& file : step_files_)
      file.append(trainer_.state().epoch + 1, trainer_.steps_done(), /*complete=*/false);
    save_state();
  }

  RunConfig config_;
  RunIdentity identity_;
  std::optional<RunDirectory> directory_;
  Dataset data_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  Trainer trainer_;
  std::vector<StepFile> step_files_;
};

}  // namespace

RunOutcome start_run(const RunConfig& config) {
  prepare_process(config.run);
  catch_stop_signals();
  Run run(config);
  run.initialise();
  run.use(RunDirectory::create(config));
  return run.train();
}

RunOutcome resume_run(const std::string& path, const RunConfig& config) {
  prepare_process(config.run);
  catch_stop_signals();
  Run run(config);
  run.use(RunDirectory::open(path));
  run.restore();
  return run.train();
}

}  // namespace actgrad
