#include "apps/training/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace actgrad {
namespace {

namespace fs = std::filesystem;
constexpr const char* lock_name = "lock";

std::string date_and_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &local);
  return text;
}

[[noreturn]] void cannot_create(const std::string& path, const std::error_code& error) {
  throw UserError("cannot create the run directory " + path + ": " + error.message());
}

// Makes runs/NAME, or runs/NAME-2, … : the first that is not there yet.
std::string make_default_folder(const std::string& name) {
  const std::string base = "runs/" + name + "-" + date_and_time();
  std::error_code error;
  fs::create_directories("runs", error);
  if (error) cannot_create(base, error);
  for (int number = 1;; ++number) {
    const std::string path = number == 1 ? base : base + "-" + std::to_string(number);
    if (fs::create_directory(path, error)) return path;  // false for one that another process has made
    if (error) cannot_create(path, error);
  }
}

std::string make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) cannot_create(path, error);
  if (!fs::is_directory(path))
    throw UserError("cannot create the run directory " + path + ": a file of that name exists");
  return path;
}

void refuse_contents(const std::string& path) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.path().filename() == lock_name) continue;
    throw UserError("the run directory " + path + " is not empty: go on with its run (--resume " + path +
                    ") or choose another --out");
  }
  if (error) throw UserError("cannot read the run directory " + path + ": " + error.message());
}

// "0.1", "2.5e-05": as short as it can be read back.
std::string number(double value) {
  return to_text(OptionValue(value));
}

}  // namespace

RunDirectory RunDirectory::create(const RunConfig& config) {
  return create(config.run.text("out"), config.model_name() + "-" + config.optimizer_name() + "-" + config.data_name());
}

RunDirectory RunDirectory::create(const std::string& wanted, const std::string& name) {
  const std::string path = wanted.empty() ? make_default_folder(name) : make_folder(wanted);
  if (!fs::exists(fs::path(path) / lock_name)) refuse_contents(path);  // a folder of other things gets no lock
  RunDirectory directory(path);
  refuse_contents(path);  // another process may have been faster
  return directory;
}

RunDirectory RunDirectory::open(const std::string& path) {
  if (!fs::is_regular_file(fs::path(path) / "config.json"))
    throw UserError(path + " is not a run directory: it holds no config.json");
  RunDirectory directory(path);
  directory.remove_leftovers();
  return directory;
}

RunDirectory::RunDirectory(std::string path) : path_(std::move(path)) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  lock_ = ::open(file(lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) throw UserError("cannot write in the run directory " + path_ + ": " + std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) < 0) {
    const bool in_use = errno == EWOULDBLOCK;
    const std::string reason =
        in_use ? "is in use by another process" : std::string("cannot be locked: ") + std::strerror(errno);
    ::close(lock_);
    throw UserError("the run directory " + path_ + " " + reason);
  }
}

RunDirectory::RunDirectory(RunDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

// Half-written files of a process that was killed.
void RunDirectory::remove_leftovers() {
  for (const auto& entry : fs::directory_iterator(path_)) {
    std::error_code ignored;
    if (entry.path().filename().string().find(".tmp-") != std::string::npos) fs::remove(entry.path(), ignored);
  }
}

std::string metrics_csv(const std::vector<EpochMetrics>& history) {
  std::string text =
      "epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,train_seconds,elapsed_seconds,peak_memory_bytes\n";
  for (const EpochMetrics& m : history) {
    text += std::to_string(m.epoch);
    for (double value : {m.lr, m.train_loss, m.train_accuracy, m.test_loss, m.test_accuracy})
      text += "," + number(value);
    for (double seconds : {m.train_seconds, m.elapsed_seconds}) text += "," + number(std::round(seconds * 1e3) / 1e3);
    text += "," + std::to_string(m.peak_memory_bytes) + "\n";
  }
  return text;
}

std::string summary_json(const RunConfig& config, const Model& model, Optimizer& optimizer,
                         const TrainingState& state) {
  nlohmann::ordered_json json;
  json["model"] = config.model_name();
  json["optim"] = config.optimizer_name();
  json["data"] = config.data_name();
  json["seed"] = config.run.integer("seed");
  json["parameters"] = model.parameters().count();
  json["optimizer_state_bytes"] = optimizer.state_bytes();
  json["epochs"] = state.epoch;
  json["planned_epochs"] = config.run.integer("epochs");
  if (const EpochMetrics* best = state.best()) {
    const EpochMetrics& last = state.history.back();
    json["best_test_accuracy"] = best->test_accuracy;
    json["best_epoch"] = best->epoch;
    json["last_test_accuracy"] = last.test_accuracy;
    json["last_test_loss"] = last.test_loss;
    json["last_train_accuracy"] = last.train_accuracy;
    json["last_train_loss"] = last.train_loss;
    double train_seconds = 0;
    for (const EpochMetrics& metrics : state.history) train_seconds += metrics.train_seconds;
    json["train_seconds"] = train_seconds;
    json["elapsed_seconds"] = last.elapsed_seconds;
    json["peak_memory_bytes"] = last.peak_memory_bytes;
  }
  return json.dump(2) + "\n";
}

}  // namespace actgrad
