#include "apps/reproduce/run_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "apps/reproduce/text.h"
#include "apps/training/progress.h"

namespace actgrad::reproduce {

RunProgress::RunProgress(const RunStore& store, std::int64_t runs, std::int64_t jobs)
    : store_(store), runs_(runs), jobs_(jobs), terminal_(::isatty(STDOUT_FILENO) == 1) {}

void RunProgress::begin(std::int64_t finished, std::int64_t failed, std::int64_t to_do, std::int64_t threads) {
  ended_ = finished + failed;
  std::string text = counted(runs_, "run");
  if (finished > 0) text += ", " + std::to_string(finished) + " finished before";
  if (failed > 0) text += ", " + std::to_string(failed) + " failed before";
  if (to_do > 0)
    text += ", " + std::to_string(to_do) + " to do, " + std::to_string(std::min(jobs_, to_do)) + " side by side with " +
            counted(threads, "thread") + " each";
  note(text);
}

void RunProgress::note(const std::string& text) {
  clear();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void RunProgress::line(const PlannedRun& run, const std::string& text) {
  note(run.name + ": " + text);
}

void RunProgress::finished(const PlannedRun& run, const RunFolder& folder, double seconds) {
  ++ended_;
  const Json summary = read_summary(folder.path);
  if (const double epochs = summary.value("epochs", 0.0); epochs > 0)
    seconds_per_epoch_[kind_of(run)] = summary.value("elapsed_seconds", 0.0) / epochs;
  line(run, "test accuracy best " + fixed(summary.value("best_test_accuracy", 0.0), 2) + "%, last " +
                fixed(summary.value("last_test_accuracy", 0.0), 2) + "%, " + clock_text(seconds) + " (" +
                std::to_string(ended_) + "/" + std::to_string(runs_) + ")");
}

void RunProgress::show(const std::vector<const PlannedRun*>& running, const std::deque<PlannedRun>& waiting) {
  if (!terminal_) return;
  std::vector<std::pair<const PlannedRun*, std::int64_t>> open;
  std::map<std::string, double> known = seconds_per_epoch_;
  std::string text = std::to_string(ended_) + "/" + std::to_string(runs_) + " runs";
  for (const PlannedRun* run : running) {
    const RunFolder* folder = store_.find(*run);
    const std::vector<Epoch> epochs = folder ? read_metrics(folder->path) : std::vector<Epoch>();
    if (!epochs.empty())
      known.emplace(kind_of(*run), epochs.back().elapsed_seconds / static_cast<double>(epochs.back().number));
    open.emplace_back(run, std::ssize(epochs));
    text += "  " + run->name + " " + std::to_string(epochs.size()) + "/" +
            std::to_string(run->identity.value("epochs", std::int64_t{0}));
  }
  for (const PlannedRun& run : waiting) open.emplace_back(&run, 0);
  const double left = seconds_left(open, known, jobs_);
  winsize size{};
  const int width = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const std::string eta = left < 0 ? "" : "  eta " + clock_text(left);
  const auto room = static_cast<std::size_t>(std::max(width - 1 - static_cast<int>(eta.size()), 0));
  std::printf("\r%s%s\033[K", text.substr(0, room).c_str(), eta.c_str());  // ESC [K: clear to the end of the line
  std::fflush(stdout);
  shown_ = true;
}

void RunProgress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stdout);
}

std::string kind_of(const PlannedRun& run) {
  std::string kind;
  for (const char* name : {"model", "data", "optim", "train-samples"}) kind += run.identity.at(name).dump() + " ";
  return kind;
}

double seconds_left(const std::vector<std::pair<const PlannedRun*, std::int64_t>>& runs_and_epochs_done,
                    const std::map<std::string, double>& seconds_per_epoch, std::int64_t jobs) {
  if (seconds_per_epoch.empty()) return -1;
  double mean = 0;
  for (const auto& [kind, seconds] : seconds_per_epoch) mean += seconds;
  mean /= static_cast<double>(seconds_per_epoch.size());
  double total = 0;
  for (const auto& [run, done] : runs_and_epochs_done) {
    const auto known = seconds_per_epoch.find(kind_of(*run));
    const auto epochs = run->identity.value("epochs", std::int64_t{0}) - done;
    total += static_cast<double>(epochs) * (known == seconds_per_epoch.end() ? mean : known->second);
  }
  return total / static_cast<double>(
                     std::clamp<std::int64_t>(jobs, 1, std::max<std::int64_t>(std::ssize(runs_and_epochs_done), 1)));
}

}  // namespace actgrad::reproduce
