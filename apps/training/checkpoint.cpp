#include "apps/training/checkpoint.h"

#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "kernels/algorithm_choice.h"

namespace actgrad {
namespace {

using Json = nlohmann::json;

constexpr const char* kind = "actgrad checkpoint 2";  // the number changes with the format

Json to_json(const EpochMetrics& m) {
  return {m.epoch,
          m.lr,
          m.train_loss,
          m.train_accuracy,
          m.test_loss,
          m.test_accuracy,
          m.train_seconds,
          m.elapsed_seconds,
          m.peak_memory_bytes};
}

EpochMetrics metrics_from(const Json& row) {
  return {row.at(0), row.at(1), row.at(2), row.at(3), row.at(4), row.at(5), row.at(6), row.at(7), row.at(8)};
}

Json to_json(const TrainingState& state) {
  Json json = {{"epoch", state.epoch},
               {"batch", state.batch},
               {"loss_sum", state.loss_sum},
               {"correct", state.correct},
               {"samples", state.samples},
               {"train_seconds", state.train_seconds},
               {"elapsed_seconds", state.elapsed_seconds},
               {"history", Json::array()}};
  for (const EpochMetrics& metrics : state.history) json["history"].push_back(to_json(metrics));
  return json;
}

TrainingState state_from(const Json& json) {
  TrainingState state;
  json.at("epoch").get_to(state.epoch);
  json.at("batch").get_to(state.batch);
  json.at("loss_sum").get_to(state.loss_sum);
  json.at("correct").get_to(state.correct);
  json.at("samples").get_to(state.samples);
  json.at("train_seconds").get_to(state.train_seconds);
  json.at("elapsed_seconds").get_to(state.elapsed_seconds);
  for (const Json& row : json.at("history")) state.history.push_back(metrics_from(row));
  return state;
}

// Every tensor of the checkpoint, as views: what is read into them is restored.
std::vector<NamedTensor> tensors_of(const Model& model, Optimizer& optimizer) {
  std::vector<NamedTensor> tensors = {{"parameters", model.parameters().values()}};
  for (const auto& [name, buffer] : model.buffers()) tensors.push_back({"buffer." + name, buffer->value});
  for (const NamedTensor& entry : optimizer.state()) tensors.push_back({"optimizer." + entry.name, entry.tensor});
  return tensors;
}

void check_identity(const std::string& path, const RunIdentity& there, const RunIdentity& here) {
  const auto differ = [&](const std::string& name, const std::string& value, const std::string& wanted) {
    throw UserError(path + ": of another run: its " + name + " is " + value + ", this run's is " + wanted);
  };
  for (const char* first : {"model", "optim"})  // the most telling differences before the others
    if (there.count(first) && here.count(first) && there.at(first) != here.at(first))
      differ(first, there.at(first), here.at(first));
  for (const auto& [name, value] : here) {
    const auto found = there.find(name);
    if (found == there.end() && name == weights_identity) continue;  // checkpoints did not always have it
    if (found == there.end() || found->second != value)
      differ(name, found == there.end() ? "missing" : found->second, value);
  }
}

void check_tensors(const std::string& path, const TensorFile& file, const std::vector<NamedTensor>& wanted) {
  for (const NamedTensor& entry : wanted) {
    const Tensor* tensor = file.find(entry.name);
    if (!tensor) throw UserError(path + ": no tensor '" + entry.name + "': of another model or optimizer");
    if (tensor->shape() != entry.tensor.shape() || tensor->dtype() != entry.tensor.dtype())
      throw UserError(path + ": '" + entry.name + "' is " + name_of(tensor->dtype()) + " " +
                      tensor->shape().to_string() + ", this run's is " + name_of(entry.tensor.dtype()) + " " +
                      entry.tensor.shape().to_string());
  }
  if (file.tensors.size() != wanted.size()) throw UserError(path + ": more tensors than this model and optimizer have");
}

}  // namespace

void save_checkpoint(const std::string& path, const Model& model, Optimizer& optimizer, const TrainingState& state,
                     const RunIdentity& identity) {
  TensorFile file;
  file.tensors = tensors_of(model, optimizer);
  file.metadata = {{"kind", kind},
                   {"steps", std::to_string(optimizer.steps())},
                   {"state", to_json(state).dump()},
                   {"identity", Json(identity).dump()},
                   {"tuned", Json(kernels::tuned_choices()).dump()}};
  write_tensor_file(path, file, /*checksum=*/true);
}

TrainingState load_checkpoint(const std::string& path, Model& model, Optimizer& optimizer,
                              const RunIdentity& identity) {
  const TensorFile file = read_tensor_file(path, /*require_checksum=*/true);
  const auto found = file.metadata.find("kind");
  if (found == file.metadata.end() || found->second != kind)
    throw UserError(path + ": not a checkpoint of this version");
  TrainingState state;
  std::int64_t steps = 0;
  RunIdentity there;
  kernels::TunedChoices tuned;
  try {
    there = Json::parse(file.metadata.at("identity")).get<RunIdentity>();
    state = state_from(Json::parse(file.metadata.at("state")));
    steps = std::stoll(file.metadata.at("steps"));
    if (const auto choices = file.metadata.find("tuned"); choices != file.metadata.end())
      tuned = Json::parse(choices->second).get<kernels::TunedChoices>();
  } catch (const std::exception& error) {
    throw UserError(path + ": malformed checkpoint: " + error.what());
  }
  check_identity(path, there, identity);
  const std::vector<NamedTensor> tensors = tensors_of(model, optimizer);
  check_tensors(path, file, tensors);
  for (const NamedTensor& entry : tensors) Tensor(entry.tensor).copy_from(*file.find(entry.name));
  optimizer.set_steps(steps);
  kernels::set_tuned_choices(tuned);
  return state;
}

}  // namespace actgrad
