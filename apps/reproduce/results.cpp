#include "apps/reproduce/results.h"

#include <algorithm>
#include <cmath>

#include "apps/reproduce/text.h"

namespace actgrad::reproduce {

Statistic statistic(const std::vector<double>& values) {
  Statistic result;
  result.n = std::ssize(values);
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  if (values.size() > 1) result.standard_error = std::sqrt(squares / (n - 1) / n);
  return result;
}

std::string to_text(const Statistic& value, int digits) {
  if (value.n == 0) return "–";
  return fixed(value.mean, digits) + (value.n > 1 ? " ± " + fixed(value.standard_error, digits) : "");
}

RunResult read_result(const std::string& directory) {
  RunResult result;
  const Json summary = read_summary(directory);
  result.epochs = read_metrics(directory);
  result.seed = summary.value("seed", std::int64_t{0});
  result.state_bytes = summary.value("optimizer_state_bytes", 0.0);
  for (const Epoch& epoch : result.epochs) {
    result.best = std::max(result.best, epoch.test_accuracy);
    result.seconds_per_epoch += epoch.train_seconds / static_cast<double>(result.epochs.size());
  }
  if (!result.epochs.empty()) result.last = result.epochs.back().test_accuracy;
  return result;
}

GroupResult collect(const Group& group, const RunStore& store) {
  GroupResult result;
  std::vector<double> best, last, seconds, bytes;
  for (const PlannedRun& run : group.runs) {
    ++result.planned;
    const RunStatus status = store.status(run);
    ++result.counts[status];
    if (status != RunStatus::finished) continue;
    result.runs.push_back(read_result(store.find(run)->path));
    best.push_back(result.runs.back().best);
    last.push_back(result.runs.back().last);
    seconds.push_back(result.runs.back().seconds_per_epoch);
    bytes.push_back(result.runs.back().state_bytes);
  }
  result.best = statistic(best);
  result.last = statistic(last);
  result.seconds_per_epoch = statistic(seconds);
  result.state_bytes = statistic(bytes);
  return result;
}

}  // namespace actgrad::reproduce
