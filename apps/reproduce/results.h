// What the finished runs of a plan say.
#pragma once

#include "apps/reproduce/run_store.h"

namespace actgrad::reproduce {

struct Statistic {
  double mean = 0;
  double standard_error = 0;  // sample standard deviation / √n; 0 for less than two values
  std::int64_t n = 0;
};
Statistic statistic(const std::vector<double>& values);

// "92.41 ± 0.18", "92.41" for one value, "–" for none.
std::string to_text(const Statistic& value, int digits = 2);

struct RunResult {
  std::int64_t seed = 0;
  std::vector<Epoch> epochs;
  double best = 0, last = 0;     // test accuracy in percent
  double seconds_per_epoch = 0;  // of training
  double state_bytes = 0;        // of the optimizer
};

// That of a run directory with at least one epoch.
RunResult read_result(const std::string& directory);

struct GroupResult {
  std::vector<RunResult> runs;  // finished ones
  std::map<RunStatus, std::int64_t> counts;
  std::int64_t planned = 0;
  Statistic best, last, seconds_per_epoch, state_bytes;
};

GroupResult collect(const Group& group, const RunStore& store);

}  // namespace actgrad::reproduce
