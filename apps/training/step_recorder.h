// What is kept of every step of a run, and the file that it goes to.
#pragma once

#include <cstdint>
#include <string>

namespace actgrad {

// Watches a run and has a row of numbers for each of its steps, or for some of them. Rows of one epoch are held until
// they are written.
class StepRecorder {
 public:
  virtual ~StepRecorder() = default;
  // The next step is step `step` (from 0) of its epoch; `lr`: the rate of the step before it, 0 if there was none.
  virtual void start(std::int64_t step, double lr) { (void)step, (void)lr; }
  // The step is done. Does not wait for the device.
  virtual void end_step(std::int64_t step, double lr) = 0;

  virtual std::string file_name() const = 0;
  virtual std::string csv_header() const = 0;  // "epoch,step,…\n"
  // How many rows steps [first, last) of an epoch have.
  virtual std::int64_t rows(std::int64_t first, std::int64_t last) const { return last - first; }
  // These rows of the epoch (counted from 1), as lines. Waits for the device.
  virtual std::string csv_rows(std::int64_t epoch, std::int64_t first, std::int64_t last) const = 0;
};

// A file that grows by the rows of an epoch, or of the part of one that was done when a run stopped.
class StepFile {
 public:
  // A new file in `directory`, or, of a run that goes on after `epochs` epochs and `steps` steps of the next, the rows
  // up to there: a process that was killed may have written more, and half of a row. Warns when there are fewer. Throws
  // UserError when it cannot be read or written.
  StepFile(const std::string& directory, const StepRecorder& recorder, std::int64_t epochs, std::int64_t steps,
           std::int64_t steps_per_epoch);
  // Appends the rows of epoch `epoch` (from 1) that are not there yet, up to step `steps`, and waits until they are on
  // the disk; `complete`: the next ones belong to the next epoch.
  void append(std::int64_t epoch, std::int64_t steps, bool complete);

 private:
  std::string path_;
  const StepRecorder& recorder_;
  std::int64_t written_;  // rows of the epoch under way
};

}  // namespace actgrad
