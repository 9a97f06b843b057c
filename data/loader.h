// Batches in a random order, prepared ahead on a thread.
#pragma once

#include <memory>

#include "data/dataset.h"

namespace actgrad {

struct Batch {
  Tensor x;       // (n, H, W, C) normalised, float32 or float64; both where the set's images are
  Tensor labels;  // (n) int32
  std::int64_t size() const { return labels.dim(0); }
};

struct LoaderOptions {
  std::int64_t batch_size = 128;
  bool shuffle = true;
  bool augment = false;  // crop and flip
  std::uint64_t seed = 0;
  DType dtype = DType::float32;
  bool prefetch = true;  // prepare the next batches on a thread (on the CPU; another device does it by itself)
};

// The batches of one epoch after another. The order and every random draw depend on (seed, epoch) alone, so a position
// is just (epoch, batch), and start(epoch, batch) continues anywhere.
class Loader {
 public:
  Loader(const ImageSet& set, const std::vector<double>& mean, const std::vector<double>& std,
         const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::int64_t batches() const;  // per epoch; the last, partial batch counts

  // Goes to batch `first` of epoch `epoch`. A set on another device than the CPU: its order goes there now.
  void start(std::int64_t epoch, std::int64_t first = 0);
  // Goes to batch `number` of the same epoch, and says so to the device: batches are gathered relative to the last such
  // place, so that a recorded step (core/recording.h) gathers those of its time. On the CPU: only to the next batch.
  void place(std::int64_t number);
  // The next batch of the epoch started; false at its end. Rethrows what went wrong on the thread.
  bool next(Batch& batch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The set, moved to a device.
ImageSet on_device(const ImageSet& set, Device device);

// The order in which epoch `epoch` visits `count` images: a Fisher-Yates shuffle from (seed, Purpose::shuffle, epoch).
std::vector<std::int32_t> shuffled_order(std::int64_t count, std::uint64_t seed, std::int64_t epoch);

}  // namespace actgrad
