// The run directories below OUT/runs: which of them are the runs of a plan, and how far each has come.
#pragma once

#include "apps/reproduce/plan.h"

namespace actgrad::reproduce {

struct RunFolder {
  std::string path;       // OUT/runs/NAME
  Json config;            // config.json
  bool finished = false;  // all epochs (starts) are done: the summary that says so is written last
};

enum class RunStatus { waiting, running, interrupted, finished, failed };
std::string name_of(RunStatus status);

// A row of metrics.csv.
struct Epoch {
  std::int64_t number = 0;
  double test_accuracy = 0, train_seconds = 0, elapsed_seconds = 0;
};

// How far a run is: its epochs or starts that are done, and the time that they took.
struct Done {
  std::int64_t parts = 0;
  double elapsed_seconds = 0;
};
Done read_done(const RunFolder& folder);

// Those of a run directory; none if it has none yet.
std::vector<Epoch> read_metrics(const std::string& directory);
// summary.json; an empty object if there is none.
Json read_summary(const std::string& directory);

// The run in a directory; none where no config.json is (yet). Throws UserError, naming the file, for one that is not a
// run's.
std::optional<RunFolder> read_folder(const std::string& path);

// Creates it, and what it lies in. Throws UserError.
void make_folder(const std::string& path);

class RunStore {
 public:
  explicit RunStore(std::string out);

  const std::string& out() const { return out_; }
  std::string new_folder(const std::string& name) const { return out_ + "/runs/" + name; }
  std::string log(const std::string& name) const { return out_ + "/logs/" + name + ".log"; }
  std::string failure(const std::string& name) const { return out_ + "/logs/" + name + ".failed"; }

  void refresh();  // looks at the folders again; one that cannot be read is no run, and a warning says so
  // The run's directory, whatever its name: one with the same options that recorded what is wanted; of several the one
  // that has come furthest. nullptr if there is none.
  const RunFolder* find(const PlannedRun& run) const;
  RunStatus status(const PlannedRun& run, std::string* why_failed = nullptr) const;

 private:
  std::string out_;
  std::multimap<std::string, RunFolder> folders_;  // by a few of their options, to find them fast
};

// A lock (flock) on a file, given up with the object; processes that were started with the file open hold it too.
class FileLock {
 public:
  FileLock() = default;
  explicit FileLock(const std::string& path);  // opens it for appending; try it with `held`
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();
  bool held() const { return held_; }
  int file() const { return file_; }

 private:
  int file_ = -1;
  bool held_ = false;
};

// Whether some process holds a lock on the file.
bool is_locked(const std::string& path);

}  // namespace actgrad::reproduce
