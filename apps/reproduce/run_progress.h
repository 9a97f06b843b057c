// What a person sees of the runs: a line for each that ends, and in a terminal one below them for the whole.
#pragma once

#include <cstdio>
#include <deque>
#include <map>

#include "apps/reproduce/run_store.h"

namespace actgrad::reproduce {

class RunProgress {
 public:
  RunProgress(const RunStore& store, std::int64_t runs, std::int64_t jobs);
  ~RunProgress() { clear(); }
  RunProgress(const RunProgress&) = delete;
  RunProgress& operator=(const RunProgress&) = delete;

  void begin(std::int64_t finished, std::int64_t failed, std::int64_t to_do, std::int64_t threads);
  void finished(const PlannedRun& run, const RunFolder& folder, double seconds);
  void line(const PlannedRun& run, const std::string& text);
  void note(const std::string& text);
  // The line for the whole, at most once a second.
  void show(const std::vector<const PlannedRun*>& running, const std::deque<PlannedRun>& waiting);
  void clear();

 private:
  const RunStore& store_;
  std::int64_t runs_, jobs_, ended_ = 0;
  bool terminal_, shown_ = false;
  std::map<std::string, double> seconds_per_part_;  // by kind of run, of those that ended
};

// Seconds until the runs are done, `jobs` at a time; negative while nothing is known about how long an epoch or start
// takes. `seconds_per_part` by kind_of(run).
double seconds_left(const std::vector<std::pair<const PlannedRun*, std::int64_t>>& runs_and_parts_done,
                    const std::map<std::string, double>& seconds_per_part, std::int64_t jobs);
std::string kind_of(const PlannedRun& run);  // those of a kind take about the same time: "resnet20-cifar10-adaact"

}  // namespace actgrad::reproduce
