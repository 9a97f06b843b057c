// Does the runs of plans, each in a process of its own, several side by side.
#pragma once

#include "apps/reproduce/plan.h"
#include "apps/reproduce/run_store.h"

namespace actgrad::reproduce {

struct RunnerOptions {
  std::int64_t jobs = 1;
  std::int64_t threads = 1;  // of each new run; one that goes on keeps its own, and so its bits
  std::string data_dir;      // absolute
  std::string device;        // "": train's default
  bool retry = false;        // also the runs that failed
};

struct RunnerOutcome {
  std::int64_t finished = 0;  // before or now
  std::int64_t failed = 0, elsewhere = 0, interrupted = 0;
  bool complete() const { return failed + elsewhere + interrupted == 0; }
};

// The runs of a group that `only` selects and whose seed is among the first `seeds` (0: all).
std::vector<PlannedRun> wanted(const Group& group, const Selection& only, std::int64_t seeds);

// Those of all plans, each once: what experiments share is put together, with all that must be recorded.
std::vector<PlannedRun> tasks(const std::vector<Plan>& plans, const Selection& only, std::int64_t seeds);

// Does what is not finished yet; goes on with what was interrupted. A run that another process works on, here or on
// another machine with the same folder, is left to it. `on_change` is called after each run that ends. SIGINT and
// SIGTERM stop the runs, which save their states; stop_signal() then says so.
RunnerOutcome do_runs(const std::vector<PlannedRun>& tasks, RunStore& store, const RunnerOptions& options,
                      const std::function<void()>& on_change);

}  // namespace actgrad::reproduce
