#include "apps/reproduce/run_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "apps/reproduce/text.h"
#include "apps/training/progress.h"

namespace actgrad::reproduce {
namespace {

// Epochs or starts.
std::int64_t parts_of(const PlannedRun& run) {
  return run.identity.value(program_of(run.identity).parts, std::int64_t{0});
}

}  // namespace

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
  const Program& program = program_of(run.identity);
  if (const double parts = summary.value(program.parts, 0.0); parts > 0)
    seconds_per_part_[kind_of(run)] = summary.value("elapsed_seconds", 0.0) / parts;
  line(run, program.result_title + program.result(summary) + ", " + clock_text(seconds) + " (" +
                std::to_string(ended_) + "/" + std::to_string(runs_) + ")");
}

void RunProgress::show(const std::vector<const PlannedRun*>& running, const std::deque<PlannedRun>& waiting) {
  if (!terminal_) return;
  std::vector<std::pair<const PlannedRun*, std::int64_t>> open;
  std::map<std::string, double> known = seconds_per_part_;
  std::string text = std::to_string(ended_) + "/" + std::to_string(runs_) + " runs";
  for (const PlannedRun* run : running) {
    const RunFolder* folder = store_.find(*run);
    const Done done = folder ? read_done(*folder) : Done();
    if (done.parts > 0) known.emplace(kind_of(*run), done.elapsed_seconds / static_cast<double>(done.parts));
    open.emplace_back(run, done.parts);
    text += "  " + run->name + " " + std::to_string(done.parts) + "/" + std::to_string(parts_of(*run));
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
  for (const std::string& name : program_of(run.identity).naming) kind += run.identity.at(name).dump() + " ";
  return kind + run.identity.value("train-samples", Json()).dump();
}

double seconds_left(const std::vector<std::pair<const PlannedRun*, std::int64_t>>& runs_and_parts_done,
                    const std::map<std::string, double>& seconds_per_part, std::int64_t jobs) {
  if (seconds_per_part.empty()) return -1;
  double mean = 0;
  for (const auto& [kind, seconds] : seconds_per_part) mean += seconds;
  mean /= static_cast<double>(seconds_per_part.size());
  double total = 0;
  for (const auto& [run, done] : runs_and_parts_done) {
    const auto known = seconds_per_part.find(kind_of(*run));
    total += static_cast<double>(parts_of(*run) - done) * (known == seconds_per_part.end() ? mean : known->second);
  }
  return total / static_cast<double>(
                     std::clamp<std::int64_t>(jobs, 1, std::max<std::int64_t>(std::ssize(runs_and_parts_done), 1)));
}

}  // namespace actgrad::reproduce
