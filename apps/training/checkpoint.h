// Checkpoints: all that a run needs to go on bit for bit as if it had never stopped, in one checksummed safetensors
// file.
#pragma once

#include <map>
#include <string>

#include "apps/training/trainer.h"

namespace actgrad {

// What the file belongs to (RunConfig::identity): option → value. A checkpoint is only loaded into a run of the same
// identity.
using RunIdentity = std::map<std::string, std::string>;
// Its entry for a learned optimizer's weights (learned_weights_id).
inline constexpr const char* weights_identity = "weights-id";

// Tensors: "parameters" (the flat buffer), "buffer.<name>" (running statistics), "optimizer.<name>"; metadata: the
// optimizer's counter, the trainer's state, the identity and kernels::tuned_choices(), as JSON. Written atomically:
// when the disk is full or the process is killed, the old file stays. Throws UserError when it cannot be written.
void save_checkpoint(const std::string& path, const Model& model, Optimizer& optimizer, const TrainingState& state,
                     const RunIdentity& identity);

// The reverse; the process takes over the tuned choices. Throws UserError, leaving model and optimizer as they were,
// for a file that is missing, damaged, no checkpoint, or of another run (naming the first difference).
TrainingState load_checkpoint(const std::string& path, Model& model, Optimizer& optimizer, const RunIdentity& identity);

}  // namespace actgrad
