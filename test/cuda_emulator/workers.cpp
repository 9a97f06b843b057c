#include "test/cuda_emulator/workers.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "test/cuda_emulator/block.h"
#include "test/cuda_emulator/checker.h"
#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/faults.h"
#include "test/cuda_emulator/memory.h"
#include "test/cuda_emulator/symbols.h"

namespace actgrad::cuda_emulator {
namespace {

// The number that an environment variable holds, if it is set.
std::optional<std::uint64_t> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return {};
  std::uint64_t number = 0;
  const char* const end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, number);
  if (error != std::errc() || rest != end)
    throw UserError(std::string(variable) + " is '" + text + "', which is not a whole number");
  return number;
}

unsigned number_of_workers() {
  if (checked()) return 1;  // the shadow memory has one writer
  if (const auto chosen = number_in("ACTGRAD_EMULATOR_WORKERS"))
    return static_cast<unsigned>(std::clamp<std::uint64_t>(*chosen, 1, 64));
  return std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
}

struct Seed {
  Seed() : value(number_in("ACTGRAD_EMULATOR_SEED").value_or(std::random_device{}())) {}
  std::uint64_t value;
  std::uint32_t launches = 0;
};

Seed& current_seed() {
  static Seed seed;
  return seed;
}

class Workers {
 public:
  static Workers& instance() {
    static auto* workers = new Workers;  // never destroyed: its threads wait for work until the program ends
    return *workers;
  }

  std::optional<Failure> run(const Plan& plan) {
    const dim3 grid = plan.shape.grid;
    std::vector<std::uint64_t> order(std::size_t{grid.x} * grid.y * grid.z);
    std::iota(order.begin(), order.end(), 0);
    Order(plan.seed).shuffle(order);
    std::unique_lock lock(mutex_);
    plan_ = &plan;
    order_ = &order;
    next_ = 0;
    failure_.reset();
    const std::size_t helpers = std::min(order.size(), threads_.size());
    wanted_ = busy_ = helpers;
    for (std::size_t i = 0; i < helpers; ++i) work_.notify_one();
    done_.wait(lock, [this] { return busy_ == 0; });
    return failure_;
  }

 private:
  Workers() {
    for (unsigned i = 0; i < number_of_workers(); ++i) threads_.emplace_back([this] { serve(); });
  }

  void serve() {
    prepare_thread_for_faults();
    Block block;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [this] { return wanted_ > 0; });
        --wanted_;
      }
      block.begin(*plan_);
      for (std::size_t i; (i = next_.fetch_add(1)) < order_->size();) {
        const DeviceAccess access;  // for each block: a fault in a kernel takes the thread's rights away
        if (auto failure = block.run((*order_)[i])) {
          next_ = order_->size();
          const std::lock_guard lock(mutex_);
          if (!failure_) failure_ = std::move(failure);
        }
      }
      const std::lock_guard lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  const Plan* plan_ = nullptr;
  const std::vector<std::uint64_t>* order_ = nullptr;
  std::atomic<std::size_t> next_ = 0;
  std::size_t wanted_ = 0, busy_ = 0;
  std::optional<Failure> failure_;
};

std::string text(const uint3& at) {
  return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + "," + std::to_string(at.z) + ")";
}

std::string explain(const Failure& failure, const Plan& plan) {
  std::string message = "kernel " + function_name(plan.call->function());
  if (failure.in_thread) message += ", block " + text(failure.block) + ", thread " + text(failure.thread);
  message += ": " + failure.message;
  if (failure.faulted) {
    const std::string place = Memory::instance().describe(failure.fault);
    char address[32];
    std::snprintf(address, sizeof(address), "%p", failure.fault);
    message += std::string(" ") + address + (place.empty() ? "" : ", " + place);
  }
  if (failure.code != nullptr) {
    const std::string line = source_line(failure.code);
    if (!line.empty()) message += ", at " + line;
  }
  if (!failure.other.empty()) {
    const std::string line = source_line(failure.other_code);
    message += "; the other is " + failure.other + (line.empty() ? "" : ", at " + line);
  }
  return message + " (ACTGRAD_EMULATOR_SEED=" + std::to_string(current_seed().value) + ", launch " +
         std::to_string(plan.number) + ")";
}

}  // namespace

bool checked() {
  return ACTGRAD_CUDA_CHECKED != 0;
}

std::uint64_t seed() {
  return current_seed().value;
}

void set_seed(std::uint64_t seed) {
  const std::lock_guard lock(device_mutex());
  current_seed().value = seed;
  current_seed().launches = 0;
}

void run_kernel(const Shape& shape, const std::shared_ptr<const KernelCall>& call) {
  const std::lock_guard lock(device_mutex());
  static std::uint64_t launches = 0;
  Plan plan{.shape = shape,
            .call = call,
            .seed = 0,
            .id = ++launches,
            .number = ++current_seed().launches,
            .thread_position = {}};
  plan.seed = Order(current_seed().value * 0x9E3779B97F4A7C15u + plan.number).next();
  for (unsigned z = 0; z < shape.block.z; ++z)
    for (unsigned y = 0; y < shape.block.y; ++y)
      for (unsigned x = 0; x < shape.block.x; ++x) plan.thread_position.push_back({x, y, z});

  const FaultHandlers handlers;
  std::optional<Failure> failure = Workers::instance().run(plan);
  if (!failure) {
    if (const Allocation* damaged = Memory::instance().damaged()) {
      failure.emplace();
      failure->message = "wrote behind the end of an allocation of " + std::to_string(damaged->bytes) + " bytes";
    }
  }
  if (failure) throw KernelError(explain(*failure, plan));
}

void library_reads(const void* pointer, std::size_t bytes) {
  const std::lock_guard lock(device_mutex());
  if (bytes == 0 || Memory::instance().contains(pointer, bytes)) return;
  const std::string place = Memory::instance().describe(pointer);
  throw KernelError("a library call uses " + std::to_string(bytes) + " bytes that are not within one allocation: " +
                    (place.empty() ? "no device memory" : "they begin at " + place));
}

void library_writes(void* pointer, std::size_t bytes) {
  library_reads(pointer, bytes);
  checker::written(pointer, bytes);
}

}  // namespace actgrad::cuda_emulator
