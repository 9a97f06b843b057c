// One run with its directory:
//   config.json, curve.csv (mean loss before each step), starts.csv (a row per start), summary.json
//   checkpoint.safetensors (the starts done, to go on from)
#pragma once

#include "apps/optimise/starts.h"

namespace actgrad {

struct OptimiseOutcome {
  bool finished = false;
  Starts starts;
  std::string directory;
};

OptimiseOutcome start_optimise_run(const OptimiseConfig& config);
// Goes on with the next start; all files become those of a run that was never stopped, but for the times.
OptimiseOutcome resume_optimise_run(const std::string& directory, const OptimiseConfig& config);

}  // namespace actgrad
