// What a person sees of a run: in a terminal a bar for the epoch under way, and everywhere one line per finished epoch.
#pragma once

#include <cstdio>
#include <string>

#include "apps/training/trainer.h"

namespace actgrad {

class Progress {
 public:
  // Shows a bar only if `stream` is a terminal. The trainer must outlive this.
  explicit Progress(const Trainer& trainer, std::FILE* stream = stdout);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step();                              // redraws the bar, at most ten times a second
  void epoch(const EpochMetrics& metrics);  // replaces the bar by the epoch's line
  void clear();                             // takes the bar away: before anything else is printed

 private:
  std::string bar_line(int width) const;
  const Trainer& trainer_;
  std::FILE* stream_;
  bool terminal_;
  bool shown_ = false;
  double best_accuracy_ = -1;
  std::chrono::steady_clock::time_point drawn_{};
};

// "0:07", "12:34", "3:25:01".
std::string clock_text(double seconds);

}  // namespace actgrad
