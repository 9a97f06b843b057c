// The folder of one run, and the files in it that people and other programs read.
#pragma once

#include <string>

#include "apps/training/run_config.h"
#include "apps/training/trainer.h"

namespace actgrad {

class RunDirectory {
 public:
  // A new folder: the one that config asks for (which must not exist or be empty), or
  // runs/<model>-<optim>-<data>-<date>-<time>[-2]. Throws UserError when it cannot be made, holds files or is in use.
  static RunDirectory create(const RunConfig& config);
  // The same for a run of another kind: `wanted`, or runs/<name>-<date>-<time>[-2] where that is empty.
  static RunDirectory create(const std::string& wanted, const std::string& name);
  // The folder of a run begun earlier. Throws UserError when it is not there or in use by another process.
  static RunDirectory open(const std::string& path);

  RunDirectory(RunDirectory&& other) noexcept;
  RunDirectory& operator=(RunDirectory&&) = delete;
  ~RunDirectory();  // gives up the lock

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string checkpoint() const { return file("checkpoint.safetensors"); }

 private:
  explicit RunDirectory(std::string path);
  void remove_leftovers();
  std::string path_;
  int lock_ = -1;
};

// metrics.csv: a header and one row per epoch.
std::string metrics_csv(const std::vector<EpochMetrics>& history);

// summary.json of the finished epochs.
std::string summary_json(const RunConfig& config, const Model& model, Optimizer& optimizer, const TrainingState& state);

}  // namespace actgrad
