#include "test/cuda_emulator/checker.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "test/cuda_emulator/block.h"
#include "test/cuda_emulator/emulator.h"
#include "test/cuda_emulator/memory.h"

namespace actgrad::cuda_emulator::checker {
namespace {

// A stretch of one thread's course without any operation that orders: what orders one of its accesses orders all.
struct Segment {
  std::uint64_t block;
  std::uint32_t thread;
  std::uint32_t barriers;    // of the block, so far
  std::uint32_t warp_syncs;  // of this thread, so far
  std::uint32_t fences;      // of this thread, so far
};

// The segment's number, which also tells older launches from this one, and the instruction, relative to the module.
struct Access {
  std::uint32_t segment : 31 = 0;
  std::uint32_t atomic : 1 = 0;
  std::uint32_t code = 0;

  explicit operator bool() const { return segment != 0; }
};
constexpr std::uint32_t by_host = 1;  // a segment of its own; 0 is none

struct Cell {
  Access writer;
  Access readers[2];
};

// What a thread lets others know of by a fence and an atomic: what it did itself before the fence, and what its block
// did before a barrier.
struct Release {
  std::uint64_t block;
  std::uint32_t thread;
  std::uint32_t fences;
  std::uint32_t barriers;

  bool covers(const Segment& s) const {
    return s.block == block && (s.barriers < barriers || (s.thread == thread && s.fences < fences));
  }
};
struct Acquired {
  Release release;
  std::uint32_t holder;  // the thread that knows it
};
constexpr std::uint32_t everyone = ~0u;

struct Thread {
  std::uint32_t segment = 0;  // 0: a new one begins with the next access
  std::uint32_t fences = 0;
  std::uint32_t barriers_at_fence = 0;
  bool fenced = false;  // since the last barrier
};

// Which of lane j's accesses lane i knows to be over: those with warp_syncs < known[i][j].
struct Warp {
  std::uint32_t known[32][32] = {};
  std::uint32_t syncs[32] = {};
};

// The shadow of memory that stands still while it exists. The system gives pages of zeros when they are first touched.
Cell* map_cells(std::size_t bytes) {
  void* memory = mmap(nullptr, std::max<std::size_t>(1, bytes) * sizeof(Cell), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<Cell*>(memory);
}

void mark_written(Cell* cells, std::size_t bytes) {
  Cell cell;
  cell.writer.segment = by_host;
  std::fill(cells, cells + bytes, cell);
}

std::string text(const uint3& at) {
  return "(" + std::to_string(at.x) + "," + std::to_string(at.y) + "," + std::to_string(at.z) + ")";
}

class Checker {
 public:
  void begin_block(Block& block) {
    block_ = &block;
    if (launch_ != block.plan().id) begin_launch(block.plan());
    barriers_ = published_ = 0;
    threads_.assign(block.threads(), {});
    warps_.assign((block.threads() + 31) / 32, {});
    acquired_.clear();
    static_cells_.assign(block.static_shared_bytes(), {});
    dynamic_cells_.assign(block.plan().shape.shared_bytes, {});
  }

  void barrier() {
    // Where every thread has fenced its own accesses, they are published without one more fence after the barrier.
    if (std::all_of(threads_.begin(), threads_.end(), [](const Thread& t) { return t.fenced; }))
      published_ = barriers_ + 1;
    ++barriers_;
    for (Thread& thread : threads_) {
      thread.segment = 0;
      thread.fenced = false;
    }
    for (Acquired& acquired : acquired_) acquired.holder = everyone;
  }

  void sync_warp(std::size_t index, unsigned lanes) {
    Warp& warp = warps_[index];
    std::uint32_t known[32] = {};
    for (std::size_t lane = 0; lane < 32; ++lane) {
      if (!(lanes >> lane & 1u)) continue;
      threads_[index * 32 + lane].segment = 0;
      warp.known[lane][lane] = ++warp.syncs[lane];
      for (std::size_t other = 0; other < 32; ++other) known[other] = std::max(known[other], warp.known[lane][other]);
    }
    for (std::size_t lane = 0; lane < 32; ++lane) {
      if (lanes >> lane & 1u) std::copy(known, known + 32, warp.known[lane]);
    }
  }

  void fence() {
    Thread& me = threads_[block_->thread()];
    me.segment = 0;
    ++me.fences;
    me.barriers_at_fence = barriers_;
    me.fenced = true;
  }

  void access(const void* address, std::size_t bytes, bool write, const void* code) {
    if (Cell* cells = cells_of(address, bytes, write, code)) {
      const Access now = begin_access(false, code);
      for (std::size_t i = 0; i < bytes; ++i)
        write ? do_write(cells[i], now, address, code) : do_read(cells[i], now, address, code);
    }
  }

  void atomic(const void* address, std::size_t bytes, const void* code) {
    Cell* cells = cells_of(address, bytes, true, code);
    if (cells == nullptr) return;
    const Access now = begin_access(true, code);
    for (std::size_t i = 0; i < bytes; ++i) {
      if (!cells[i].writer) report("an atomic on memory that nobody has written yet", Access{}, address, code);
      do_write(cells[i], now, address, code);
    }
    synchronize(address);
  }

 private:
  void begin_launch(const Plan& plan) {
    plan_ = &plan;
    launch_ = plan.id;
    // Smaller numbers than these belong to launches that are over, and to the host.
    first_segment_ =
        std::max<std::uint32_t>(by_host + 1, first_segment_ + static_cast<std::uint32_t>(segments_.size()));
    segments_.clear();
    variables_.clear();
  }

  // The shadow of the bytes that the current thread wants; null where there is none to keep: its own stack, arguments,
  // coordinates, constants. Anything else is a mistake.
  Cell* cells_of(const void* address, std::size_t bytes, bool write, const void* code) {
    const auto* at = static_cast<const char*>(address);
    const auto within = [&](const void* begin, std::size_t size) {
      const auto offset = static_cast<std::size_t>(at - static_cast<const char*>(begin));
      return offset < size && bytes <= size - offset;
    };
    const Block& block = *block_;
    const long stack = block.stack_of(at);
    if (stack == static_cast<long>(block.current_stack())) return nullptr;
    if (within(&threadIdx, sizeof(threadIdx)) || within(&blockIdx, sizeof(blockIdx)) ||
        within(&blockDim, sizeof(blockDim)) || within(&gridDim, sizeof(gridDim)))
      return nullptr;
    if (within(block.static_shared(), static_cells_.size())) return static_cells_.data() + (at - block.static_shared());
    const auto* dynamic = static_cast<const char*>(block.dynamic_shared());
    if (within(dynamic, dynamic_cells_.size())) return dynamic_cells_.data() + (at - dynamic);
    const Allocation* allocation = Memory::instance().find(at);
    if (allocation != nullptr && within(allocation->begin, allocation->bytes))
      return static_cast<Cell*>(allocation->shadow) + (at - allocation->begin);
    if (within(block.plan().call.get(), block.plan().call->bytes())) {
      if (write) report("write to an argument of the kernel", Access{}, address, code);
      return nullptr;
    }
    // Its constants and its __device__ variables, for which nothing is kept.
    if (at >= block.code_begin() && at < block.code_end()) return nullptr;

    const std::string what = write ? "write to " : "read of ";
    if (reinterpret_cast<std::uintptr_t>(at) < 1 << 16)
      report(what + "memory through a null pointer", Access{}, address, code);
    if (stack >= 0) report(what + "another thread's local variable", Access{}, address, code);
    if (at >= dynamic && at < dynamic + dynamic_cells_.size() + 4096)
      report(what + "memory behind the block's dynamic shared memory", Access{}, address, code);
    const std::string place = Memory::instance().describe(at);
    report(what + (place.empty() ? "the host's memory" : "memory outside of allocations: " + place), Access{}, address,
           code);
  }

  Access begin_access(bool atomic, const void* code) {
    const std::size_t thread = block_->thread();
    std::uint32_t& segment = threads_[thread].segment;
    if (segment == 0) {
      segment = first_segment_ + static_cast<std::uint32_t>(segments_.size());
      segments_.push_back({block_->index(), static_cast<std::uint32_t>(thread), barriers_,
                           warps_[thread / 32].syncs[thread % 32], threads_[thread].fences});
    }
    Access access;
    access.segment = segment & 0x7FFFFFFFu;
    access.atomic = atomic;
    access.code = static_cast<std::uint32_t>(static_cast<const char*>(code) - block_->code_begin());
    return access;
  }

  const Segment& segment_of(Access access) const { return segments_[access.segment - first_segment_]; }

  // Whether the earlier access is over before whatever the current thread does now.
  bool ordered(Access earlier) const {
    if (earlier.segment < first_segment_) return true;
    const Segment& s = segment_of(earlier);
    const std::size_t me = block_->thread();
    if (s.block == block_->index()) {
      if (s.thread == me || s.barriers < barriers_) return true;
      if (s.thread / 32 == me / 32 && s.warp_syncs < warps_[me / 32].known[me % 32][s.thread % 32]) return true;
    }
    return std::any_of(acquired_.begin(), acquired_.end(), [&](const Acquired& acquired) {
      return (acquired.holder == me || acquired.holder == everyone) && acquired.release.covers(s);
    });
  }
  bool race(Access earlier, Access now) const {
    return earlier && !(earlier.atomic && now.atomic) && !ordered(earlier);
  }

  void do_read(Cell& cell, Access now, const void* address, const void* code) {
    if (!cell.writer) report("read of memory that nobody has written yet", Access{}, address, code);
    if (cell.writer.segment == now.segment) return;
    if (race(cell.writer, now)) report("race: it reads what another thread writes", cell.writer, address, code);
    for (Access& reader : cell.readers) {
      if (!reader || reader.segment == now.segment || ordered(reader)) {
        reader = now;
        return;
      }
    }
    // Both places are taken by readers that nothing orders before this one. A later write collides with at least one;
    // a write that __syncwarp orders after some warp's readers collides if the places belong to two warps.
    const Segment &first = segment_of(cell.readers[0]), &second = segment_of(cell.readers[1]);
    if (first.block == second.block && first.thread / 32 == second.thread / 32) cell.readers[1] = now;
  }

  void do_write(Cell& cell, Access now, const void* address, const void* code) {
    if (race(cell.writer, now)) report("race: it writes what another thread writes", cell.writer, address, code);
    for (const Access reader : cell.readers) {
      if (race(reader, now)) report("race: it writes what another thread reads", reader, address, code);
    }
    cell.writer = now;
    cell.readers[0] = cell.readers[1] = {};
  }

  // An atomic takes over what earlier atomics on the variable let know, and adds what its own thread has fenced.
  void synchronize(const void* address) {
    const auto me = static_cast<std::uint32_t>(block_->thread());
    std::vector<Release>& known = variables_[address];
    const Thread& thread = threads_[me];
    const auto learn = [&](const Release& release) {
      const auto same = std::find_if(known.begin(), known.end(), [&](const Release& other) {
        return other.block == release.block && other.thread == release.thread;
      });
      if (same == known.end())
        known.push_back(release);
      else
        *same = {release.block, release.thread, std::max(same->fences, release.fences),
                 std::max(same->barriers, release.barriers)};
    };
    const std::vector<Release> earlier = known;
    if (thread.fences > 0 || published_ > 0) {
      const std::uint32_t fenced = thread.fences > 0 ? thread.barriers_at_fence : 0;
      learn({block_->index(), me, thread.fences, std::max(fenced, published_)});
      for (const Acquired& acquired : acquired_) {
        if (acquired.holder == me || acquired.holder == everyone) learn(acquired.release);
      }
    }
    for (const Release& release : earlier) {
      const bool held = std::any_of(acquired_.begin(), acquired_.end(), [&](const Acquired& acquired) {
        return (acquired.holder == me || acquired.holder == everyone) && acquired.release.block == release.block &&
               acquired.release.thread == release.thread && acquired.release.fences >= release.fences &&
               acquired.release.barriers >= release.barriers;
      });
      if (!held) acquired_.push_back({release, me});
    }
  }

  std::string place(const void* address) const {
    const auto* at = static_cast<const char*>(address);
    const auto* dynamic = static_cast<const char*>(block_->dynamic_shared());
    if (at >= block_->static_shared() && at < block_->static_shared() + static_cells_.size()) return " (shared memory)";
    if (at >= dynamic && at < dynamic + dynamic_cells_.size())
      return " (byte " + std::to_string(at - dynamic) + " of dynamic shared memory)";
    const std::string known = Memory::instance().describe(address);
    return known.empty() ? "" : " (" + known + ")";
  }

  [[noreturn]] void report(const std::string& what, Access other, const void* address, const void* code) const {
    Failure failure;
    failure.message = what;
    if (failure.message.find(':') == std::string::npos || other) failure.message += place(address);
    failure.code = code;
    if (other) {
      const Segment& s = segment_of(other);
      const dim3 grid = plan_->shape.grid;
      const uint3 block{static_cast<unsigned>(s.block % grid.x), static_cast<unsigned>(s.block / grid.x % grid.y),
                        static_cast<unsigned>(s.block / grid.x / grid.y)};
      failure.other = "block " + text(block) + ", thread " + text(plan_->thread_position[s.thread]);
      failure.other_code = block_->code_begin() + other.code;
    }
    block_->fail(std::move(failure));
  }

  Block* block_ = nullptr;
  const Plan* plan_ = nullptr;
  std::uint64_t launch_ = 0;
  std::uint32_t barriers_ = 0;
  std::uint32_t published_ = 0;  // accesses before this barrier were fenced by all their threads
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<Acquired> acquired_;
  std::vector<Cell> static_cells_, dynamic_cells_;

  std::uint32_t first_segment_ = 0;  // of this launch
  std::vector<Segment> segments_;
  std::unordered_map<const void*, std::vector<Release>> variables_;  // what atomics on them let know, in this launch
};

Checker& instance() {
  static auto* checker = new Checker;
  return *checker;
}

// Whether kernels are watched, and one runs.
bool idle() {
  return !checked() || Block::current() == nullptr;
}

}  // namespace

void* allocated(std::size_t bytes, bool written) {
  if (!checked()) return nullptr;
  Cell* const cells = map_cells(bytes);
  if (written) mark_written(cells, bytes);
  return cells;
}

void freed(void* shadow, std::size_t bytes) {
  if (shadow != nullptr) munmap(shadow, std::max<std::size_t>(1, bytes) * sizeof(Cell));
}

void written(const void* begin, std::size_t bytes) {
  if (!checked()) return;
  const Allocation* allocation = Memory::instance().find(begin);
  if (allocation == nullptr) return;  // the host's own memory
  mark_written(static_cast<Cell*>(allocation->shadow) + (static_cast<const char*>(begin) - allocation->begin), bytes);
}

void begin_block(Block& block) {
  if (checked()) instance().begin_block(block);
}
void barrier() {
  if (!idle()) instance().barrier();
}
void sync_warp(std::size_t warp, unsigned lanes) {
  if (!idle()) instance().sync_warp(warp, lanes);
}
void access(const void* address, std::size_t bytes, bool write, const void* code) {
  if (!idle()) instance().access(address, bytes, write, code);
}
void atomic(const void* address, std::size_t bytes, const void* code) {
  if (!idle()) instance().atomic(address, bytes, code);
}
void fence() {
  if (!idle()) instance().fence();
}

}  // namespace actgrad::cuda_emulator::checker
