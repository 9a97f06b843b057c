#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "core/random.h"
#include "kernels/augment.h"

namespace actgrad {

namespace {

// 0, 1, …, count − 1
std::vector<std::int32_t> ordered(std::int64_t count) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

ImageSet on_device(const ImageSet& set, Device device) {
  return set.images ? ImageSet{set.images.to(device), set.labels.to(device)} : set;
}

std::vector<std::int32_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int32_t> order = ordered(count);
  Random random(seed, Purpose::shuffle, static_cast<std::uint64_t>(epoch));
  for (std::size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
  return order;
}

// The consumer calls start() and next(); the worker runs from start() to the end of the epoch, at most `queue_limit`
// batches ahead. The order is written while no worker runs and only read while one does; the queue is what they share.
struct Loader::State {
  static constexpr std::size_t queue_limit = 2;

  State(const ImageSet& images, const std::vector<double>& mean_, const std::vector<double>& std_,
        const LoaderOptions& options_)
      : set(images),
        device(set.images ? set.images.device() : Device{}),
        table(kernels::normalisation_table(mean_, std_, options_.dtype).to(device)),
        options(options_),
        placed(device) {}

  const ImageSet set;
  const Device device;
  const Tensor table;
  const LoaderOptions options;

  std::int64_t epoch = 0;
  Tensor order;
  StepValue<kernels::DataPosition> placed;  // on devices that gather by themselves: the last place
  std::int64_t placed_batch = 0;
  std::int64_t position = -1;  // the batch that next() returns next; -1 before start()

  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Batch> ready;
  std::exception_ptr error;
  std::jthread worker;  // last: its destructor stops and joins it while everything that it uses still lives

  std::int64_t batches() const { return (set.size() + options.batch_size - 1) / options.batch_size; }
  Batch make(std::int64_t number) const;
  void work(std::stop_token stop, std::int64_t first);
};

// Batch `number`. A device gathers it relative to the last place; the CPU's worker is ahead of it.
Batch Loader::State::make(std::int64_t number) const {
  const std::int64_t begin = number * options.batch_size;
  const std::int64_t count = std::min(options.batch_size, set.size() - begin);
  const Tensor& images = set.images;
  Batch batch{Tensor::empty({count, images.dim(1), images.dim(2), images.dim(3)}, options.dtype, device),
              Tensor::empty({count}, DType::int32, device)};
  const bool relative = !device.is_cpu();
  const StepValue<kernels::DataPosition> place =
      relative ? placed : kernels::DataPosition{begin, static_cast<std::uint64_t>(epoch)};
  const std::int64_t offset = relative ? begin - placed_batch * options.batch_size : 0;
  const kernels::Augmentation augmentation{.enabled = options.augment, .seed = options.seed};
  kernels::gather_images(images, order, place, offset, table, augmentation, batch.x);
  kernels::gather_labels(set.labels, order, place, offset, batch.labels);
  return batch;
}

// The worker: batches from `first` on, until the epoch ends, something goes wrong, or it is told to stop.
void Loader::State::work(std::stop_token stop, std::int64_t first) {
  try {
    for (std::int64_t number = first; number < batches(); ++number) {
      Batch batch = make(number);
      std::unique_lock lock(mutex);
      changed.wait(lock, stop, [&] { return ready.size() < queue_limit; });
      if (stop.stop_requested()) return;
      ready.push_back(std::move(batch));
      changed.notify_all();
    }
  } catch (...) {
    std::lock_guard lock(mutex);
    error = std::current_exception();
    changed.notify_all();
  }
}

Loader::Loader(const ImageSet& set, const std::vector<double>& mean, const std::vector<double>& std,
               const LoaderOptions& options)
    : state_(std::make_unique<State>(set, mean, std, options)) {
  ACTGRAD_CHECK(options.batch_size > 0, "batch size");
  ACTGRAD_CHECK(options.dtype == DType::float32 || options.dtype == DType::float64, "batches are float or double");
  ACTGRAD_CHECK(set.size() == 0 || (set.images.rank() == 4 && set.labels.numel() == set.size()), "images and labels");
}

Loader::~Loader() = default;

std::int64_t Loader::batches() const {
  return state_->batches();
}

void Loader::start(std::int64_t epoch, std::int64_t first) {
  ACTGRAD_CHECK(epoch >= 0 && first >= 0 && first <= batches(), "a position outside of the data");
  State& state = *state_;
  state.worker = std::jthread();  // stops and joins the one that runs
  state.ready.clear();
  state.error = nullptr;
  state.epoch = epoch;
  state.position = first;
  if (state.options.shuffle || !state.order) {
    const std::vector<std::int32_t> order =
        state.options.shuffle ? shuffled_order(state.set.size(), state.options.seed, epoch) : ordered(state.set.size());
    if (state.device.is_cpu() || !state.order)
      state.order = Tensor::from({state.set.size()}, order).to(state.device);
    else
      state.order.copy_from(Tensor::from({state.set.size()}, order));  // recorded steps read it where it lies
  }
  if (!state.device.is_cpu()) return place(first);
  if (state.options.prefetch && first < batches())
    state.worker = std::jthread([&state, first](std::stop_token stop) { state.work(std::move(stop), first); });
}

void Loader::place(std::int64_t number) {
  State& state = *state_;
  if (state.device.is_cpu()) {
    ACTGRAD_CHECK(number == state.position, "the CPU's loader goes from batch to batch");
    return;
  }
  state.position = state.placed_batch = number;
  state.placed.set({number * state.options.batch_size, static_cast<std::uint64_t>(state.epoch)});
}

bool Loader::next(Batch& batch) {
  State& state = *state_;
  ACTGRAD_CHECK(state.position >= 0, "start() comes before next()");
  if (state.position == batches()) return false;
  if (!state.options.prefetch || !state.device.is_cpu()) {
    batch = state.make(state.position);
  } else {
    std::unique_lock lock(state.mutex);
    state.changed.wait(lock, [&] { return !state.ready.empty() || state.error; });
    if (state.ready.empty()) std::rethrow_exception(state.error);
    batch = std::move(state.ready.front());
    state.ready.pop_front();
    state.changed.notify_all();
  }
  ++state.position;
  return true;
}

}  // namespace actgrad
