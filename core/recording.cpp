#include "core/recording.h"

#include "core/device_backend.h"
#include "core/memory.h"

namespace actgrad {

StepRunner::StepRunner(Device device, bool enabled) : device_(device), enabled_(enabled && !device.is_cpu()) {
  if (enabled_) pool_ = std::make_unique<MemoryPool>(device);
}

StepRunner::~StepRunner() = default;

void StepRunner::run(const Kind& kind, const std::function<void()>& step) {
  if (!enabled_) return step();
  Entry& entry = kinds_[kind];
  if (entry.recording) return entry.recording->replay();
  if (!entry.settled) {
    const std::uint64_t before = memory_statistics(device_).system_allocations;
    pool_->use(step);
    entry.settled = memory_statistics(device_).system_allocations == before;
    return;
  }
  pool_->use([&] { entry.recording = device_backend().record(step); });
  entry.recording->replay();
}

}  // namespace actgrad
