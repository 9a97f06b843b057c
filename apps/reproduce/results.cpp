#include "apps/reproduce/results.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

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

std::string to_text(const PaperValue& value) {
  return fixed(value.mean, 2) + (value.standard_error ? " ± " + fixed(*value.standard_error, 2) : "");
}

// Values that were seen one by one add up to their statistic; statistics of several, to that of all together.
Statistic pooled(const std::vector<Statistic>& parts) {
  std::vector<double> means;
  Statistic all;
  double squares = 0;  // of what the sums of the parts may be wrong by
  for (const Statistic& part : parts) {
    if (part.n == 1) means.push_back(part.mean);
    const auto n = static_cast<double>(part.n);
    all.n += part.n;
    all.mean += n * part.mean;
    squares += n * part.standard_error * n * part.standard_error;
  }
  if (all.n == 0 || std::ssize(means) == all.n) return statistic(means);
  all.mean /= static_cast<double>(all.n);
  all.standard_error = std::sqrt(squares) / static_cast<double>(all.n);
  return all;
}

namespace {

Statistic one(double value) {
  return {value, 0, 1};
}

RunResult train_result(const std::string& directory) {
  RunResult result;
  const std::vector<Epoch> epochs = read_metrics(directory);
  double best = 0;
  for (const Epoch& epoch : epochs) {
    best = std::max(best, epoch.test_accuracy);
    result.seconds_per_part += epoch.train_seconds / static_cast<double>(epochs.size());
    result.curve[epoch.number] = one(epoch.test_accuracy);
  }
  result.best = one(best);
  if (!epochs.empty()) result.last = one(epochs.back().test_accuracy);
  return result;
}

// step,mean,se,n; a number that is not finite is read as such.
Curve read_curve(const std::string& path) {
  std::ifstream file(path);
  Curve curve;
  std::string line, cell;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::vector<double> values;
    while (std::getline(cells, cell, ',')) values.push_back(std::strtod(cell.c_str(), nullptr));
    if (values.size() != 4) break;
    curve[static_cast<std::int64_t>(values[0])] = {values[1], values[2], static_cast<std::int64_t>(values[3])};
  }
  return curve;
}

RunResult optimise_result(const std::string& directory, const Json& summary, const std::string& metric) {
  const auto n = summary.value("starts", std::int64_t{0});
  const auto number = [&](const std::string& name) {
    const Json value = summary.value(name, Json());
    return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
  };
  RunResult result;
  result.best = {number(metric), number(metric + "_se"), n};
  if (metric == "last_loss") result.last = {number("final_loss"), number("final_loss_se"), n};
  result.curve = read_curve(directory + "/curve.csv");
  result.seconds_per_part = number("train_seconds") / static_cast<double>(std::max<std::int64_t>(n, 1));
  return result;
}

}  // namespace

RunResult read_result(const RunFolder& folder, const std::string& metric) {
  const Json summary = read_summary(folder.path);
  RunResult result = program_of(folder.config.at("options")).name == "train"
                         ? train_result(folder.path)
                         : optimise_result(folder.path, summary, metric);
  result.state_bytes = summary.value("optimizer_state_bytes", 0.0);
  return result;
}

GroupResult collect(const Group& group, const RunStore& store) {
  GroupResult result;
  std::vector<Statistic> best, last;
  std::vector<double> seconds, bytes;
  std::map<std::int64_t, std::vector<Statistic>> curve;
  for (const PlannedRun& run : group.runs) {
    ++result.planned;
    const RunStatus status = store.status(run);
    ++result.counts[status];
    if (status != RunStatus::finished) continue;
    result.runs.push_back(read_result(*store.find(run), group.metric));
    const RunResult& found = result.runs.back();
    best.push_back(found.best);
    last.push_back(found.last);
    seconds.push_back(found.seconds_per_part);
    bytes.push_back(found.state_bytes);
    for (const auto& [step, value] : found.curve) curve[step].push_back(value);
  }
  result.best = pooled(best);
  result.last = pooled(last);
  result.seconds_per_part = statistic(seconds);
  result.state_bytes = statistic(bytes);
  for (const auto& [step, values] : curve) result.curve[step] = pooled(values);
  return result;
}

}  // namespace actgrad::reproduce
