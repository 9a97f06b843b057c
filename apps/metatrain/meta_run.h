// One meta-training run with its directory:
//   config.json, metrics.csv (a row per epoch), checkpoint.safetensors (to go on from)
//   weights.safetensors, best.safetensors, weights-epoch-N.safetensors: the learned optimizer, for train --optim
#pragma once

#include "apps/metatrain/meta_config.h"

namespace actgrad {

struct MetaOutcome {
  bool finished = false;
  MetaState state;
  std::string directory;
};

MetaOutcome start_meta_run(const MetaConfig& config);
// Goes on bit for bit as if the run had never stopped (with as many threads).
MetaOutcome resume_meta_run(const std::string& directory, const MetaConfig& config);

}  // namespace actgrad
