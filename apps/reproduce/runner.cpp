#include "apps/reproduce/runner.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>

#include "apps/reproduce/child_process.h"
#include "apps/reproduce/run_progress.h"
#include "apps/training/signals.h"
#include "core/atomic_file.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(10);  // with runs of an earlier process that is still saving
constexpr int poll_milliseconds = 1000;
constexpr const char* taken = "is in use by another process";  // RunDirectory

std::string last_line(const std::string& path) {
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) last = line;
  return last;
}

// A run that is under way here.
struct Job {
  PlannedRun run;
  FileLock log;  // held by the process too: nobody else does this run as long as either lives
  ChildProcess process;
  Clock::time_point started;
};

class Runner {
 public:
  Runner(const std::vector<PlannedRun>& tasks, RunStore& store, const RunnerOptions& options,
         const std::function<void()>& on_change)
      : store_(store),
        options_(options),
        on_change_(on_change),
        queue_(tasks.begin(), tasks.end()),
        progress_(store, std::ssize(tasks), options.jobs) {
    for (const char* folder : {"/runs", "/logs"}) make_folder(store.out() + folder);
  }

  RunnerOutcome run() {
    sort_out();
    while (stop_signal() == 0) {
      fill();
      if (jobs_.empty() && (queue_.empty() || Clock::now() - idle_since_ > patience)) break;
      progress_.show(running(), queue_);
      wait();
    }
    if (stop_signal() != 0) stop();
    progress_.clear();
    outcome_.elsewhere = stop_signal() == 0 ? std::ssize(queue_) : 0;
    for (const PlannedRun& run : queue_)
      if (stop_signal() == 0) progress_.line(run, "another process works on it: left to it");
    return outcome_;
  }

 private:
  // Takes what needs no work from the queue.
  void sort_out() {
    std::erase_if(queue_, [&](const PlannedRun& run) { return counted(run); });
    progress_.begin(outcome_.finished, outcome_.failed, std::ssize(queue_), options_.threads);
  }

  // Whether the run is done with: finished, or failed and not to be tried again.
  bool counted(const PlannedRun& run) {
    std::string reason;
    const RunStatus status = store_.status(run, &reason);
    if (status == RunStatus::finished) return ++outcome_.finished, true;
    if (status != RunStatus::failed || options_.retry) return false;
    progress_.line(run, "failed before (" + reason + "); --retry tries it again");
    return ++outcome_.failed, true;
  }

  // Starts runs until all jobs are busy or all that remain are somebody else's.
  void fill() {
    for (std::size_t i = 0; i < queue_.size() && std::ssize(jobs_) < options_.jobs;) {
      const bool done_with = start(queue_[i]);
      if (done_with)
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
      else
        ++i;
    }
    if (!jobs_.empty()) idle_since_ = Clock::now();
  }

  // false when another process has the run.
  bool start(const PlannedRun& run) {
    FileLock log(store_.log(run.name));
    if (!log.held()) return false;
    store_.refresh();
    const RunFolder* folder = store_.find(run);
    if (folder && !folder->finished && is_locked(folder->path + "/lock")) return false;
    // The lock is ours, so it does not count as somebody's work.
    if (folder && folder->finished) return ++outcome_.finished, true;
    if (fs::exists(store_.failure(run.name)) && !options_.retry) return ++outcome_.failed, true;
    fs::remove(store_.failure(run.name));
    std::vector<std::string> words = {program_folder() + "/" + program_of(run.identity).name};
    if (folder)
      words.insert(words.end(), {"--resume", folder->path});
    else
      add_options(words, run);
    words.push_back("--data-dir=" + options_.data_dir);
    if (!options_.device.empty()) words.push_back("--device=" + options_.device);
    ChildProcess process(words, log.file());
    jobs_.push_back({run, std::move(log), std::move(process), Clock::now()});
    return true;
  }

  void add_options(std::vector<std::string>& words, const PlannedRun& run) {
    for (const GivenOption& option : run.arguments) words.push_back("--" + option.name + "=" + option.text);
    std::string record;
    for (const std::string& what : run.record) record += (record.empty() ? "" : ",") + what;
    if (!record.empty()) words.push_back("--record=" + record);
    if (run.save_every > 0) words.push_back("--save-every=" + std::to_string(run.save_every));
    words.push_back("--threads=" + std::to_string(options_.threads));
    words.push_back("--out=" + free_folder(run.name));
  }

  // runs/NAME, or NAME-2 … where another run has that name. One that was killed before it had written what it is, is
  // no run yet.
  std::string free_folder(const std::string& name) {
    for (int number = 1;; ++number) {
      const std::string path = store_.new_folder(number == 1 ? name : name + "-" + std::to_string(number));
      bool empty = true;
      std::error_code none;
      for (const auto& entry : fs::directory_iterator(path, none)) {
        const std::string file = entry.path().filename().string();
        if (file.find(".tmp-") != std::string::npos)
          fs::remove(entry.path(), none);
        else if (file != "lock")
          empty = false;
      }
      if (empty) return path;
    }
  }

  std::vector<const PlannedRun*> running() const {
    std::vector<const PlannedRun*> list;
    for (const Job& job : jobs_) list.push_back(&job.run);
    return list;
  }

  // Until a run ends, a signal comes, or a second has passed.
  void wait() {
    std::vector<pollfd> files;
    for (const Job& job : jobs_) files.push_back({job.process.ended(), POLLIN, 0});
    ::poll(files.data(), files.size(), poll_milliseconds);
    for (std::size_t i = jobs_.size(); i-- > 0;) {
      if (files[i].revents == 0) continue;
      Job job = std::move(jobs_[i]);
      jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i));
      end(job);
    }
  }

  void end(Job& job) {
    const int code = job.process.wait();
    store_.refresh();
    const RunFolder* folder = store_.find(job.run);
    if (code == 0 && folder && folder->finished) {
      ++outcome_.finished;
      progress_.finished(job.run, *folder, std::chrono::duration<double>(Clock::now() - job.started).count());
    } else if (code == 128 + SIGTERM || code == 128 + SIGINT || code == 128 + SIGKILL) {
      ++outcome_.interrupted;  // by somebody, or by a machine that is out of memory: nothing is wrong with the run
      progress_.line(job.run, "interrupted (" + signal_name(code - 128) + "); to go on, start again");
    } else if (const std::string reason = last_line(store_.log(job.run.name));
               reason.find(taken) != std::string::npos) {
      queue_.push_back(job.run);
    } else {
      fail(job.run, code, reason);
    }
    job.log = FileLock();
    on_change_();
  }

  void fail(const PlannedRun& run, int code, const std::string& reason) {
    ++outcome_.failed;
    const std::string text =
        (code > 128 ? signal_name(code - 128) : "exit code " + std::to_string(code) + ": " + reason);
    write_file_atomically(store_.failure(run.name), text);
    progress_.line(run, "failed (" + text + "); log: " + store_.log(run.name));
  }

  void stop() {
    progress_.clear();
    if (!jobs_.empty()) progress_.note("stopping: " + std::to_string(jobs_.size()) + " runs save their states");
    for (Job& job : jobs_) job.process.stop();
    while (!jobs_.empty()) wait();
  }

  RunStore& store_;
  const RunnerOptions& options_;
  const std::function<void()>& on_change_;
  std::deque<PlannedRun> queue_;
  std::vector<Job> jobs_;
  RunProgress progress_;
  RunnerOutcome outcome_;
  Clock::time_point idle_since_ = Clock::now();
};

}  // namespace

std::vector<PlannedRun> wanted(const Group& group, const Selection& only, std::int64_t seeds) {
  std::vector<PlannedRun> list;
  for (std::size_t i = 0; i < group.runs.size() && (seeds == 0 || std::cmp_less(i, seeds)); ++i)
    if (selected(only, group, group.runs[i])) list.push_back(group.runs[i]);
  return list;
}

std::vector<PlannedRun> tasks(const std::vector<Plan>& plans, const Selection& only, std::int64_t seeds) {
  std::vector<PlannedRun> list;
  for (const Plan& plan : plans) {
    for (const Group& group : plan.groups) {
      for (const PlannedRun& run : wanted(group, only, seeds)) {
        const auto same = std::find_if(list.begin(), list.end(),
                                       [&](const PlannedRun& other) { return other.identity == run.identity; });
        if (same == list.end()) {
          list.push_back(run);
          continue;
        }
        same->record.insert(run.record.begin(), run.record.end());
        same->save_every = std::max(same->save_every, run.save_every);
      }
    }
  }
  return list;
}

RunnerOutcome do_runs(const std::vector<PlannedRun>& tasks, RunStore& store, const RunnerOptions& options,
                      const std::function<void()>& on_change) {
  return Runner(tasks, store, options, on_change).run();
}

}  // namespace actgrad::reproduce
