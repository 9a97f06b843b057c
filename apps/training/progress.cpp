#include "apps/training/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>

namespace actgrad {
namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);

int columns_of(std::FILE* stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[256];
  std::va_list values;
  va_start(values, pattern);
  std::vsnprintf(text, sizeof text, pattern, values);
  va_end(values);
  return text;
}

// "  3/200": as wide as "200/200".
std::string epoch_number(std::int64_t epoch, std::int64_t epochs) {
  const std::string total = std::to_string(epochs), number = std::to_string(epoch);
  return std::string(total.size() - std::min(total.size(), number.size()), ' ') + number + "/" + total;
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 1e9)));
  if (whole < 3600) return format("%lld:%02lld", whole / 60, whole % 60);
  return format("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

Progress::Progress(const Trainer& trainer, std::FILE* stream)
    : trainer_(trainer), stream_(stream), terminal_(::isatty(::fileno(stream)) == 1) {
  if (const EpochMetrics* best = trainer.state().best()) best_accuracy_ = best->test_accuracy;
}

// "epoch  3/10  [#########.....]  61%  loss 1.2345  acc 56.78%  5432 images/s  eta 0:12, all 3:21"; the bar takes what
// room the rest leaves, and in a narrow terminal the end goes first.
std::string Progress::bar_line(int width) const {
  const TrainingState& state = trainer_.state();
  const double samples = static_cast<double>(std::max<std::int64_t>(state.samples, 1));
  const double whole = static_cast<double>(trainer_.samples_per_epoch());
  const double rate = samples / std::max(state.train_seconds, 1e-9);
  const double share = samples / whole;
  const double left = (whole - samples) / rate;
  const auto epochs_after = static_cast<double>(trainer_.options().epochs - state.epoch - 1);
  // An epoch with its test takes as long as those before it did; the first: as long as its training.
  const double per_epoch =
      state.history.empty() ? whole / rate : state.history.back().elapsed_seconds / static_cast<double>(state.epoch);

  const std::string head = "epoch " + epoch_number(state.epoch + 1, trainer_.options().epochs) + "  ";
  std::string tail =
      format("  %3.0f%%  loss %.4f  acc %5.2f%%  %.0f images/s  eta %s", 100 * share, state.loss_sum / samples,
             100 * static_cast<double>(state.correct) / samples, rate, clock_text(left).c_str());
  if (epochs_after > 0) tail += ", all " + clock_text(left + epochs_after * per_epoch);
  const int room = std::min(width - 3 - static_cast<int>(head.size() + tail.size()), 40);
  std::string line = head;
  if (room >= 5) {
    const int filled = static_cast<int>(share * room + 0.5);
    line += "[" + std::string(static_cast<std::size_t>(filled), '#') +
            std::string(static_cast<std::size_t>(room - filled), '.') + "]";
  }
  line += tail;
  return line.substr(0, static_cast<std::size_t>(std::max(width - 1, 1)));  // a full last column would wrap
}

void Progress::step() {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  const bool last = trainer_.state().samples == trainer_.samples_per_epoch();
  if (shown_ && !last && now - drawn_ < redraw_interval) return;
  drawn_ = now;
  shown_ = true;
  std::fprintf(stream_, "\r%s\033[K", bar_line(columns_of(stream_)).c_str());  // ESC [K: clear to the end of the line
  std::fflush(stream_);
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
}

void Progress::epoch(const EpochMetrics& m) {
  clear();
  const bool best = m.test_accuracy > best_accuracy_;
  best_accuracy_ = std::max(best_accuracy_, m.test_accuracy);
  const double rate = static_cast<double>(trainer_.samples_per_epoch()) / std::max(m.train_seconds, 1e-9);
  std::string line = "epoch " + epoch_number(m.epoch, trainer_.options().epochs);
  // What does not fit into a terminal's line is left out, the least interesting first.
  const std::size_t width = terminal_ ? static_cast<std::size_t>(columns_of(stream_)) : std::string::npos;
  for (const std::string& part :
       {format("  train loss %.4f %6.2f%%", m.train_loss, m.train_accuracy),
        format("  test loss %.4f %6.2f%%%s", m.test_loss, m.test_accuracy, best ? " *" : "  "),
        format("  lr %-8.3g", m.lr), format(" %7.1f s", m.train_seconds), format(" %7.0f images/s", rate)}) {
    if (line.size() + part.size() > width) break;
    line += part;
  }
  std::fprintf(stream_, "%s\n", line.c_str());
  std::fflush(stream_);
}

}  // namespace actgrad
