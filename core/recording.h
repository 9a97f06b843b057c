// A training step's work for a device, recorded once and replayed: giving a GPU a hundred small kernels one by one
// takes longer than computing them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <tuple>

#include "core/device.h"

namespace actgrad {

// Work that was given to a device, kept to be given to it again.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;  // does not wait
};

// Memory that tensors made while it is in use come from, and go back to: nobody else gets it as long as this lives. So
// a recording finds its intermediate results undisturbed in place.
class MemoryPool {
 public:
  explicit MemoryPool(Device device);
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // Tensors that the calling thread makes on the device during `work` come from the pool.
  void use(const std::function<void()>& work);
  // Tensors that it makes during `work` come from no pool: a recording will not need that memory.
  static void leave(const std::function<void()>& work);

  struct Blocks;

 private:
  Device device_;
  std::shared_ptr<Blocks> blocks_;  // shared with the tensors that live in it
};

// Runs steps of a few kinds: each kind at first as it is, until a step has needed no new memory (none can be had during
// a recording; libraries have chosen their algorithms by then, too), then once recording it, and from then on replaying
// it. On the CPU, or when not enabled, always as it is.
class StepRunner {
 public:
  // What tells kinds apart: say, the batch size. Steps of one kind must give the device the same work, on tensors that
  // outlive this or are made by the step itself.
  using Kind = std::tuple<std::int64_t, std::int64_t, int>;

  StepRunner(Device device, bool enabled);
  ~StepRunner();

  void run(const Kind& kind, const std::function<void()>& step);

 private:
  struct Entry {
    bool settled = false;  // the last step needed no new memory
    std::unique_ptr<Recording> recording;
  };
  Device device_;
  bool enabled_;
  std::unique_ptr<MemoryPool> pool_;  // of all kinds: they run one after another
  std::map<Kind, Entry> kinds_;
};

}  // namespace actgrad
