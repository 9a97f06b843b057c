#include "apps/metatrain/meta_progress.h"

#include <unistd.h>

#include "apps/training/progress.h"

namespace actgrad {

MetaProgress::MetaProgress(MetaTrainer& trainer, std::FILE* stream)
    : trainer_(trainer), stream_(stream), terminal_(::isatty(::fileno(stream)) == 1) {}

// At the speed of the whole run so far, evaluations included.
double MetaProgress::seconds_left() const {
  const MetaState& state = trainer_.state();
  const auto done = static_cast<double>(state.iteration);
  const auto all = static_cast<double>(trainer_.options().epochs * trainer_.options().meta_iterations);
  return state.elapsed_seconds / done * (all - done);
}

void MetaProgress::iteration() {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (shown_ && now - drawn_ < std::chrono::milliseconds(100))) return;
  drawn_ = now;
  shown_ = true;
  const MetaState& state = trainer_.state();
  const std::int64_t per_epoch = trainer_.options().meta_iterations, inside = state.iteration % per_epoch;
  const auto done = static_cast<double>(std::max<std::int64_t>(inside, 1) * trainer_.segments());
  std::fprintf(stream_, "\repoch %lld/%lld  %3.0f%%  loss %.4f  %.1f meta-steps/s  eta %s\033[K",
               static_cast<long long>(state.iteration / per_epoch + 1),
               static_cast<long long>(trainer_.options().epochs),
               100 * static_cast<double>(inside) / static_cast<double>(per_epoch), state.loss_sum / done,
               done / std::max(state.train_seconds, 1e-9), clock_text(seconds_left()).c_str());
  std::fflush(stream_);
}

void MetaProgress::epoch(const MetaEpoch& e) {
  clear();
  const bool best = trainer_.state().best()->epoch == e.epoch;
  const double rate =
      static_cast<double>(trainer_.options().meta_iterations * trainer_.segments()) / std::max(e.train_seconds, 1e-9);
  std::fprintf(stream_,
               "epoch %lld/%lld  meta-steps %lld  loss %.4f  final loss %.4f%s  %.1f s  %.1f meta-steps/s  eta %s\n",
               static_cast<long long>(e.epoch), static_cast<long long>(trainer_.options().epochs),
               static_cast<long long>(e.meta_steps), e.loss, e.final_loss, best ? " *" : "  ", e.train_seconds, rate,
               clock_text(seconds_left()).c_str());
  std::fflush(stream_);
}

void MetaProgress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
}

}  // namespace actgrad
