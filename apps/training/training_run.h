// One run from its configuration to its files: what train does after reading its options.
#pragma once

#include <string>
#include <vector>

#include "apps/training/run_config.h"
#include "apps/training/trainer.h"

namespace actgrad {

struct RunOutcome {
  bool finished = false;  // false: a signal stopped it; the checkpoint then holds the state after the last whole step
  TrainingState state;
  std::string directory;
};

// Starts the run in a new directory. Prints what it does to stdout. Throws UserError; LossNotFinite, and InternalError
// when a device fails, after which the last good checkpoint is still there.
RunOutcome start_run(const RunConfig& config);

// Goes on with the run in the directory `path`, whose options are `config` (resume_config).
RunOutcome resume_run(const std::string& path, const RunConfig& config);

}  // namespace actgrad
