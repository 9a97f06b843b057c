#include "apps/metatrain/meta_run.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/metatrain/meta_progress.h"
#include "apps/training/run_directory.h"
#include "apps/training/signals.h"
#include "core/atomic_file.h"
#include "core/split.h"
#include "kernels/parallel.h"

namespace actgrad {
namespace {

using Json = nlohmann::json;

constexpr const char* checkpoint_kind = "actgrad meta-training checkpoint 1";  // the number changes with the format

ImageSet load_images(const MetaConfig& config) {
  const ImageSet all = load_dataset(config.run.text("task"), config.run.text("data-dir")).train;
  return first_images(all, config.run.integer("train-samples"));
}

// One per activation function.
std::vector<std::unique_ptr<Model>> make_networks(const MetaConfig& config, const ImageSet& images) {
  Options options(model_options("mlp"));
  options.set("hidden", config.run.text("hidden"));
  const InputSpec input{images.images.dim(1), images.images.dim(2), images.images.dim(3), 10};
  std::vector<std::unique_ptr<Model>> networks;
  for (const std::string& name : split(config.run.text("activation"))) {
    options.set_text("activation", name);
    networks.push_back(make_model("mlp", input, DType::float32, 0, options));
  }
  return networks;
}

// JSON has no word for a number that is not finite; as null it could not be read back.
Json json_of(double value) {
  return std::isfinite(value) ? Json(value) : Json(to_text(OptionValue(value)));
}

double number_from(const Json& json) {
  if (json.is_null()) return std::numeric_limits<double>::quiet_NaN();  // as it was written once
  return json.is_string() ? std::stod(json.get<std::string>()) : json.get<double>();
}

Json to_json(const MetaState& state) {
  Json json = {{"iteration", state.iteration},
               {"loss_sum", json_of(state.loss_sum)},
               {"train_seconds", state.train_seconds},
               {"elapsed_seconds", state.elapsed_seconds},
               {"history", Json::array()}};
  for (const MetaEpoch& e : state.history)
    json["history"].push_back(
        {e.epoch, e.meta_steps, json_of(e.loss), json_of(e.final_loss), e.train_seconds, e.elapsed_seconds});
  return json;
}

void read_json(const Json& json, MetaState& state) {
  json.at("iteration").get_to(state.iteration);
  state.loss_sum = number_from(json.at("loss_sum"));
  json.at("train_seconds").get_to(state.train_seconds);
  json.at("elapsed_seconds").get_to(state.elapsed_seconds);
  state.history.clear();
  for (const Json& row : json.at("history"))
    state.history.push_back(
        {row.at(0), row.at(1), number_from(row.at(2)), number_from(row.at(3)), row.at(4), row.at(5)});
}

std::string metrics_csv(const std::vector<MetaEpoch>& history) {
  std::string text = "epoch,meta_steps,loss,final_loss,train_seconds,elapsed_seconds\n";
  const auto number = [](double value) { return to_text(OptionValue(value)); };
  const auto seconds = [&](double value) { return number(std::round(value * 1e3) / 1e3); };
  for (const MetaEpoch& e : history)
    text += std::to_string(e.epoch) + "," + std::to_string(e.meta_steps) + "," + number(e.loss) + "," +
            number(e.final_loss) + "," + seconds(e.train_seconds) + "," + seconds(e.elapsed_seconds) + "\n";
  return text;
}

// A run with everything that it consists of. The directory comes last, so that a mistake in the options leaves none
// behind.
class Run {
 public:
  explicit Run(const MetaConfig& config)
      : config_(config),
        images_(load_images(config)),
        networks_(make_networks(config, images_)),
        rule_(make_learned_rule(config.rule_name(), config.rule, DType::float32,
                                static_cast<std::uint64_t>(config.run.integer("seed")))),
        task_(networks_, images_, config.task()),
        plain_(networks_, images_, config.plain()),
        trainer_(*rule_, task_, plain_, config.training()) {}

  // The weights that --init names, if it does.
  void initialise() {
    if (const std::string& file = config_.run.text("init"); !file.empty())
      rule_->load(read_tensor_file(file).tensors, file);
  }

  void use(RunDirectory directory) {
    directory_.emplace(std::move(directory));
    config_.run.set("out", directory_->path());
    std::printf(
        "optimizer: %s, %lld weights\ntask: %s, a network of %lld parameters, %lld images\nrun: %s, %lld threads\n",
        config_.rule_name().c_str(), static_cast<long long>(rule_->weights().count()), config_.run.text("task").c_str(),
        static_cast<long long>(networks_.front()->parameters().count()), static_cast<long long>(images_.size()),
        directory_->path().c_str(), static_cast<long long>(config_.run.integer("threads")));
    std::fflush(stdout);
  }

  // The state of the last checkpoint. A run that was killed before its first one starts again.
  void restore() {
    const std::string path = directory_->checkpoint();
    if (!std::filesystem::exists(path)) return initialise();
    TensorFile file = read_tensor_file(path, /*require_checksum=*/true);
    MetaState& state = trainer_.state();
    try {
      if (file.metadata.at("kind") != checkpoint_kind) throw UserError("of another version");
      if (Json::parse(file.metadata.at("identity")) != Json(config_.identity())) throw UserError("of another run");
      read_json(Json::parse(file.metadata.at("state")), state);
      for (auto* moment : {&state.m, &state.v}) {
        moment->copy_from(file.tensors.back().tensor);
        file.tensors.pop_back();
      }
    } catch (const std::exception& error) {
      throw UserError(path + ": not a checkpoint of this run: " + error.what());
    }
    rule_->load(file.tensors, path);
    std::printf("resumed after %lld trainings\n", static_cast<long long>(state.iteration));
    std::fflush(stdout);
  }

  MetaOutcome train() {
    write_file_atomically(directory_->file("config.json"), config_.to_json());
    save_checkpoint();
    MetaProgress progress(trainer_);
    trainer_.on_iteration = [&] { progress.iteration(); };
    trainer_.on_epoch = [&](const MetaEpoch& epoch) {
      progress.epoch(epoch);
      save_epoch(epoch);
    };
    trainer_.stop = [] { return stop_signal() != 0; };
    const bool finished = trainer_.run();
    progress.clear();
    if (!finished) save_checkpoint();
    return {finished, trainer_.state(), directory_->path()};
  }

 private:
  // The checkpoint comes last: a process killed before it repeats the epoch, and writes the same files again.
  void save_epoch(const MetaEpoch& epoch) {
    save_weights("weights.safetensors", epoch);
    if (trainer_.state().best()->epoch == epoch.epoch) save_weights("best.safetensors", epoch);
    if (epoch.epoch % config_.run.integer("save-every") == 0)
      save_weights("weights-epoch-" + std::to_string(epoch.epoch) + ".safetensors", epoch);
    write_file_atomically(directory_->file("metrics.csv"), metrics_csv(trainer_.state().history));
    save_checkpoint();
  }

  void save_weights(const std::string& name, const MetaEpoch& epoch) {
    TensorFile file{rule_->named_weights(),
                    {{"kind", "actgrad learned optimizer"}, {"optimizer", config_.rule_name()}}};
    for (const Option& option : config_.rule.table())
      file.metadata["option." + option.name] = to_text(config_.rule.value(option.name));
    file.metadata["meta_steps"] = std::to_string(epoch.meta_steps);
    write_tensor_file(directory_->file(name), file);
  }

  void save_checkpoint() {
    TensorFile file{rule_->named_weights(),
                    {{"kind", checkpoint_kind},
                     {"state", to_json(trainer_.state()).dump()},
                     {"identity", Json(config_.identity()).dump()}}};
    file.tensors.push_back({"adam.v", trainer_.state().v});
    file.tensors.push_back({"adam.m", trainer_.state().m});
    write_tensor_file(directory_->checkpoint(), file, /*checksum=*/true);
  }

  MetaConfig config_;
  std::optional<RunDirectory> directory_;
  ImageSet images_;
  std::vector<std::unique_ptr<Model>> networks_;
  std::unique_ptr<LearnedRule> rule_;
  Optimizee task_, plain_;
  MetaTrainer trainer_;
};

}  // namespace

MetaOutcome start_meta_run(const MetaConfig& config) {
  kernels::set_threads(static_cast<int>(config.run.integer("threads")));
  catch_stop_signals();
  Run run(config);
  run.initialise();
  run.use(
      RunDirectory::create(config.run.text("out"), "metatrain-" + config.rule_name() + "-" + config.run.text("task")));
  return run.train();
}

MetaOutcome resume_meta_run(const std::string& directory, const MetaConfig& config) {
  kernels::set_threads(static_cast<int>(config.run.integer("threads")));
  catch_stop_signals();
  Run run(config);
  run.use(RunDirectory::open(directory));
  run.restore();
  return run.train();
}

}  // namespace actgrad
