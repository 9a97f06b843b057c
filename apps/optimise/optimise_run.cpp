#include "apps/optimise/optimise_run.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "apps/training/progress.h"
#include "apps/training/run_directory.h"
#include "apps/training/signals.h"
#include "core/atomic_file.h"
#include "kernels/parallel.h"

namespace actgrad {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// In a terminal a line for the start under way, and everywhere one per start that is done.
class StartProgress {
 public:
  StartProgress(const Starts& starts, const Options& run)
      : starts_(starts),
        planned_(run.integer("starts")),
        steps_(run.integer("steps")),
        terminal_(::isatty(STDOUT_FILENO) == 1) {}
  ~StartProgress() { clear(); }
  StartProgress(const StartProgress&) = delete;
  StartProgress& operator=(const StartProgress&) = delete;

  void step(std::int64_t step, double loss) {
    if (!terminal_ || (shown_ && seconds_since(drawn_) < 0.1)) return;
    drawn_ = Clock::now();
    shown_ = true;
    std::printf("\rstart %s  %3.0f%%  loss %.4f%s\033[K", number(starts_.count() + 1).c_str(),
                100 * static_cast<double>(step) / static_cast<double>(steps_), loss, eta().c_str());
    std::fflush(stdout);
  }

  void start() {
    clear();
    const StartResult& last = starts_.results.back();
    const RunningMean mean = starts_.mean(&StartResult::final_loss);
    std::printf("start %s  final loss %.4f", number(starts_.count()).c_str(), last.final_loss);
    if (last.accuracy) std::printf("  top-1 %5.2f%%  top-2 %5.2f%%", last.accuracy->top1, last.accuracy->top2);
    std::printf("  mean loss %.4f ± %.4f%s\n", mean.mean, mean.standard_error(starts_.count()), eta().c_str());
    std::fflush(stdout);
  }

  void clear() {
    if (!shown_) return;
    shown_ = false;
    std::fputs("\r\033[K", stdout);
    std::fflush(stdout);
  }

 private:
  // "  3/100": as wide as "100/100".
  std::string number(std::int64_t start) const {
    const std::string all = std::to_string(planned_), text = std::to_string(start);
    return std::string(all.size() - std::min(all.size(), text.size()), ' ') + text + "/" + all;
  }

  std::string eta() const {
    const std::int64_t left = planned_ - starts_.count();
    if (starts_.count() == 0 || left == 0) return "";
    return "  eta " +
           clock_text(starts_.elapsed_seconds / static_cast<double>(starts_.count()) * static_cast<double>(left));
  }

  const Starts& starts_;
  std::int64_t planned_, steps_;
  bool terminal_, shown_ = false;
  Clock::time_point drawn_{};
};

// A run with everything that it consists of. The directory comes last, so that a mistake in the options leaves none
// behind.
class Run {
 public:
  explicit Run(const OptimiseConfig& config)
      : config_(config),
        problem_(make_problem(find_task(config.task_name()), config.problem())),
        state_bytes_(make_descent().state_bytes()) {}

  void use(RunDirectory directory) {
    directory_.emplace(std::move(directory));
    config_.run.set("out", directory_->path());
    std::printf("task: %s: %s, %lld parameters\noptimizer: %s", config_.task_name().c_str(),
                find_task(config_.task_name()).help.c_str(), static_cast<long long>(parameters()),
                config_.optimizer_name().c_str());
    const char* before = " (";
    for (const Option& option : config_.optimizer.table()) {
      std::printf("%s%s %s", before, option.name.c_str(), to_text(config_.optimizer.value(option.name)).c_str());
      before = ", ";
    }
    std::printf(")\nrun: %s, %s, %lld CPU threads\n", directory_->path().c_str(), config_.run.text("device").c_str(),
                static_cast<long long>(config_.run.integer("threads")));
    std::fflush(stdout);
  }

  // What was done before. A run that was killed before its first start was done starts again.
  void restore() {
    if (!std::filesystem::exists(directory_->checkpoint())) return;
    starts_ = load_starts(directory_->checkpoint(), config_);
    if (starts_.count() > config_.run.integer("starts"))
      throw UserError("--starts: " + std::to_string(starts_.count()) + " are done already");
    std::printf("resumed after start %lld\n", static_cast<long long>(starts_.count()));
  }

  OptimiseOutcome run() {
    write_file_atomically(directory_->file("config.json"), config_.to_json());
    if (starts_.count() > 0) save();  // a process killed before it may have left older files
    StartProgress progress(starts_, config_.run);
    while (starts_.count() < config_.run.integer("starts")) {
      if (!descend(progress)) return {false, starts_, directory_->path()};
      save();
      progress.start();
    }
    return {true, starts_, directory_->path()};
  }

 private:
  Descent make_descent() { return {config_.optimizer_name(), config_.optimizer, *problem_}; }
  std::int64_t parameters() const { return problem_->model().parameters().count(); }

  // The next start from its beginning to its end; false when stopped on the way.
  bool descend(StartProgress& progress) {
    const Clock::time_point begin = Clock::now();
    const std::int64_t steps = config_.run.integer("steps");
    problem_->begin(starts_.count());
    Descent descent = make_descent();
    std::vector<double> losses;
    for (std::int64_t step = 0; step < steps; ++step) {
      if (stop_signal() != 0) return false;
      losses.push_back(descent.step());
      progress.step(step, losses.back());
    }
    const double train_seconds = seconds_since(begin);
    const double final_loss = problem_->mean_loss(steps);
    starts_.add({final_loss, losses.back(), problem_->accuracy()}, losses);
    starts_.train_seconds += train_seconds;
    starts_.elapsed_seconds += seconds_since(begin);
    return true;
  }

  // The summary comes last: once it says that all starts are done, everything is there.
  void save() {
    save_starts(directory_->checkpoint(), starts_, config_);
    write_file_atomically(directory_->file("starts.csv"), starts_csv(starts_));
    write_file_atomically(directory_->file("curve.csv"), curve_csv(starts_));
    write_file_atomically(directory_->file("summary.json"), summary_json(config_, starts_, parameters(), state_bytes_));
  }

  OptimiseConfig config_;
  std::optional<RunDirectory> directory_;
  std::unique_ptr<Problem> problem_;
  std::size_t state_bytes_;
  Starts starts_;
};

void prepare(const OptimiseConfig& config) {
  kernels::set_threads(static_cast<int>(config.run.integer("threads")));
  catch_stop_signals();
}

}  // namespace

OptimiseOutcome start_optimise_run(const OptimiseConfig& config) {
  prepare(config);
  Run run(config);
  run.use(
      RunDirectory::create(config.run.text("out"), "optimise-" + config.task_name() + "-" + config.optimizer_name()));
  return run.run();
}

OptimiseOutcome resume_optimise_run(const std::string& directory, const OptimiseConfig& config) {
  prepare(config);
  Run run(config);
  run.use(RunDirectory::open(directory));
  run.restore();
  return run.run();
}

}  // namespace actgrad
