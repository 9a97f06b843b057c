// What the starts that are done have come to.
#pragma once

#include <functional>

#include "apps/optimise/optimise_config.h"

namespace actgrad {

struct StartResult {
  double final_loss = 0;  // mean loss of the last parameters over all batches that led to them
  double last_loss = 0;   // before the last step, on its batch
  std::optional<Accuracy> accuracy;
};

// A mean with what is needed to add to it (Welford's method).
struct RunningMean {
  double mean = 0, squares = 0;            // squares: of the distances from the mean, summed
  void add(double value, std::int64_t n);  // the n-th value
  double standard_error(std::int64_t n) const;
};

struct Starts {
  std::vector<StartResult> results;  // of starts 0, 1, …
  std::vector<RunningMean> curve;    // the loss before each step
  double train_seconds = 0, elapsed_seconds = 0;

  void add(const StartResult& result, const std::vector<double>& losses);
  std::int64_t count() const { return std::ssize(results); }
  RunningMean mean(const std::function<double(const StartResult&)>& of) const;
};

// step,mean,se,n and start,final_loss,last_loss[,top1,top2,test_loss].
std::string curve_csv(const Starts& starts);
std::string starts_csv(const Starts& starts);
// summary.json: "starts" is how many are done.
std::string summary_json(const OptimiseConfig& config, const Starts& starts, std::int64_t parameters,
                         std::size_t state_bytes);

// The state to go on from. load_starts throws UserError for a file of another run.
void save_starts(const std::string& path, const Starts& starts, const OptimiseConfig& config);
Starts load_starts(const std::string& path, const OptimiseConfig& config);

}  // namespace actgrad
