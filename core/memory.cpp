#include "core/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/device_backend.h"
#include "core/error.h"
#include "core/recording.h"

namespace actgrad {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;

// Memory from the system. Large blocks ask for huge pages: activations are read as long streams, and fewer pages mean
// fewer misses in the address translation (a tenth of the time of batch normalisation on ResNet-20).
void* system_allocate(std::size_t size) {
#ifdef MADV_HUGEPAGE
  if (size >= huge_page) {
    void* memory = std::aligned_alloc(huge_page, (size + huge_page - 1) / huge_page * huge_page);
    if (memory) madvise(memory, size, MADV_HUGEPAGE);  // a wish: without huge pages it is memory all the same
    return memory;
  }
#endif
  return std::aligned_alloc(alignment, size);
}

// Sizes are rounded so that nearly equal requests share blocks: to 512 bytes, and above 4 KiB to an eighth of the
// next lower power of two (at most 12.5% lost).
std::size_t size_class(std::size_t bytes) {
  std::size_t unit = 512;
  while (unit * 16 <= bytes) unit *= 2;
  return std::max<std::size_t>(unit, (bytes + unit - 1) / unit * unit);
}

std::string mebibytes(std::size_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

using FreeBlocks = std::unordered_map<std::size_t, std::vector<void*>>;  // by size

void* take_from(FreeBlocks& free, std::size_t size) {
  const auto found = free.find(size);
  if (found == free.end() || found->second.empty()) return nullptr;
  void* const memory = found->second.back();
  found->second.pop_back();
  return memory;
}

}  // namespace

struct MemoryPool::Blocks {
  FreeBlocks free;
  bool closed = false;  // nobody will use it any more: what is freed belongs to everybody
};

namespace {

// The pool that the calling thread's tensors on `device` come from.
struct PoolInUse {
  Device device;
  std::shared_ptr<MemoryPool::Blocks> blocks;
};
thread_local PoolInUse pool_in_use;

class CachingAllocator {
 public:
  explicit CachingAllocator(Device device) : device_(device), keeps_memory_(keeps_memory(device)) {}

  void* allocate(std::size_t bytes) {
    if (bytes > std::numeric_limits<std::ptrdiff_t>::max()) throw std::bad_alloc();  // a negative size, in truth
    const std::size_t size = block_size(bytes);
    std::lock_guard lock(mutex_);
    const bool pooled = pool_in_use.blocks && pool_in_use.device == device_;
    void* memory = take_from(pooled ? pool_in_use.blocks->free : free_, size);
    if (!memory) memory = take_from_system(size);
    if (pooled) owners_[memory] = pool_in_use.blocks;
    statistics_.bytes_in_use += size;
    statistics_.peak_bytes = std::max(statistics_.peak_bytes, statistics_.bytes_in_use);
    return memory;
  }

  void deallocate(void* memory, std::size_t bytes) noexcept {
    const std::size_t size = block_size(bytes);
    std::lock_guard lock(mutex_);
    statistics_.bytes_in_use -= size;
    const auto owner = owners_.find(memory);
    if (owner != owners_.end() && !owner->second->closed) {
      owner->second->free[size].push_back(memory);
      return;
    }
    if (owner != owners_.end()) owners_.erase(owner);
    release(memory, size);
  }

  // The pool's blocks belong to everybody from now on.
  void close(MemoryPool::Blocks& pool) {
    std::lock_guard lock(mutex_);
    pool.closed = true;
    for (auto& [size, blocks] : pool.free)
      for (void* const memory : blocks) {
        owners_.erase(memory);
        release(memory, size);
      }
    pool.free.clear();
  }

  void release_cached() {
    std::lock_guard lock(mutex_);
    release_cached_locked();
  }

  MemoryStatistics statistics() {
    std::lock_guard lock(mutex_);
    return statistics_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    statistics_.peak_bytes = statistics_.bytes_in_use;
  }

 private:
  static bool keeps_memory(Device device) {
    if (!device.is_cpu()) return device_backend().keeps_memory();
#if defined(__SANITIZE_ADDRESS__)
    return false;  // a cache would hide uses after free from the address sanitizer
#else
    return true;
#endif
  }
  std::size_t block_size(std::size_t bytes) const {
    return keeps_memory_ || device_.is_cpu() ? size_class(bytes) : std::max<std::size_t>(bytes, 1);
  }

  // Of a block that nobody uses and no pool holds.
  void release(void* memory, std::size_t size) {
    if (keeps_memory_) {
      free_[size].push_back(memory);
    } else {
      statistics_.bytes_reserved -= size;
      give_back(memory);
    }
  }

  void* from_system(std::size_t size) {
    return device_.is_cpu() ? system_allocate(size) : device_backend().allocate(device_.index, size);
  }
  void give_back(void* memory) {
    if (device_.is_cpu())
      std::free(memory);
    else
      device_backend().deallocate(device_.index, memory);
  }

  void* take_from_system(std::size_t size) {
    void* memory = from_system(size);
    if (!memory) {
      release_cached_locked();
      memory = from_system(size);
      if (!memory) fail(size);
    }
    statistics_.bytes_reserved += size;
    ++statistics_.system_allocations;
    return memory;
  }

  [[noreturn]] void fail(std::size_t size) const {
    if (device_.is_cpu()) throw std::bad_alloc();
    throw UserError(device_.name() + ": out of memory: " + mebibytes(size) + " asked for, " +
                    mebibytes(statistics_.bytes_in_use) + " held; try a smaller --batch-size");
  }

  void release_cached_locked() {
    for (auto& [size, blocks] : free_) {
      for (void* memory : blocks) give_back(memory);
      statistics_.bytes_reserved -= size * blocks.size();
      blocks.clear();
    }
  }

  Device device_;
  bool keeps_memory_;
  std::mutex mutex_;
  FreeBlocks free_;
  std::unordered_map<void*, std::shared_ptr<MemoryPool::Blocks>> owners_;  // of blocks of pools
  MemoryStatistics statistics_;
};

// Never destroyed: tensors in static storage may be freed after every other static object.
CachingAllocator& allocator(Device device) {
  static CachingAllocator* const cpu = new CachingAllocator(Device{});
  if (device.is_cpu()) return *cpu;
  static std::mutex* const mutex = new std::mutex;
  static auto* const others = new std::map<int, CachingAllocator>;
  std::lock_guard lock(*mutex);
  return others->try_emplace(device.index, device).first->second;
}

}  // namespace

MemoryPool::MemoryPool(Device device) : device_(device), blocks_(std::make_shared<Blocks>()) {}

MemoryPool::~MemoryPool() {
  allocator(device_).close(*blocks_);
}

namespace {
void work_with_pool(PoolInUse pool, const std::function<void()>& work) {
  struct Use {
    explicit Use(PoolInUse now) : before(std::exchange(pool_in_use, std::move(now))) {}
    ~Use() { pool_in_use = std::move(before); }
    PoolInUse before;
  } const use(std::move(pool));
  work();
}
}  // namespace

void MemoryPool::use(const std::function<void()>& work) {
  ACTGRAD_CHECK(!pool_in_use.blocks, "a memory pool within another");
  work_with_pool({device_, blocks_}, work);
}

void MemoryPool::leave(const std::function<void()>& work) {
  work_with_pool({}, work);
}

MemoryStatistics memory_statistics(Device device) {
  return allocator(device).statistics();
}
void reset_peak_memory(Device device) {
  allocator(device).reset_peak();
}
void release_cached_memory(Device device) {
  allocator(device).release_cached();
}

namespace detail {
void* allocate(std::size_t bytes, Device device) {
  return allocator(device).allocate(bytes);
}
void deallocate(void* memory, std::size_t bytes, Device device) noexcept {
  allocator(device).deallocate(memory, bytes);
}
}  // namespace detail

}  // namespace actgrad
