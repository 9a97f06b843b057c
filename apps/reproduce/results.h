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

// "92.49 ± 0.18".
std::string to_text(const PaperValue& value);

// Of values that belong together with the statistics of parts of them.
Statistic pooled(const std::vector<Statistic>& parts);

using Curve = std::map<std::int64_t, Statistic>;  // by epoch or step

// Of a run of train, values that count as one each; of optimise, statistics over its starts.
struct RunResult {
  Statistic best, last;         // test accuracy in percent; the metric, and the loss over all batches beside it
  Curve curve;                  // test accuracy, loss
  double seconds_per_part = 0;  // of training; an epoch or a start
  double state_bytes = 0;       // of the optimizer
};

// That of a finished run.
RunResult read_result(const RunFolder& folder, const std::string& metric);

struct GroupResult {
  std::vector<RunResult> runs;  // finished ones
  std::map<RunStatus, std::int64_t> counts;
  std::int64_t planned = 0;
  Statistic best, last, seconds_per_part, state_bytes;
  Curve curve;
};

GroupResult collect(const Group& group, const RunStore& store);

}  // namespace actgrad::reproduce
