// What a person sees of a meta-training: in a terminal a line for the epoch under way, and everywhere one per epoch.
#pragma once

#include <chrono>
#include <cstdio>

#include "apps/metatrain/meta_trainer.h"

namespace actgrad {

class MetaProgress {
 public:
  // The trainer must outlive this.
  explicit MetaProgress(MetaTrainer& trainer, std::FILE* stream = stdout);
  ~MetaProgress() { clear(); }
  MetaProgress(const MetaProgress&) = delete;
  MetaProgress& operator=(const MetaProgress&) = delete;

  void iteration();                    // redraws, in a terminal, at most ten times a second
  void epoch(const MetaEpoch& epoch);  // the epoch's line
  void clear();                        // takes the line under way away

 private:
  double seconds_left() const;
  MetaTrainer& trainer_;
  std::FILE* stream_;
  bool terminal_, shown_ = false;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace actgrad
