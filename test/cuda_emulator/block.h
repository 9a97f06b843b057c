// Runs one block: its threads one after another on fibers, each until it has to wait.
//
// Fibers are lazy. A thread starts on the fiber whose last thread has ended; only when a thread waits, for a barrier or
// for its warp, is another fiber taken for the next one. Whoever arrives last at a barrier or a warp operation does
// the work for all, and everyone becomes ready again.
#pragma once

#include <csetjmp>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "test/cuda_emulator/device.h"
#include "test/cuda_emulator/fiber.h"
#include "test/cuda_emulator/launch.h"
#include "test/cuda_emulator/random_order.h"

namespace actgrad::cuda_emulator {

// What all blocks of a launch share.
struct Plan {
  Shape shape;
  std::shared_ptr<const KernelCall> call;
  std::uint64_t seed;
  std::uint64_t id;                    // of this launch, among all
  std::uint32_t number;                // of this launch since the seed was set, from 1
  std::vector<uint3> thread_position;  // threadIdx by the linear index

  std::size_t threads() const { return thread_position.size(); }
};

// The first mistake of a launch, with what was known on the spot.
struct Failure {
  std::string message;
  const void* fault = nullptr;  // the address that could not be accessed, if `faulted`
  bool faulted = false;
  const void* code = nullptr;        // the instruction, if known
  std::string other;                 // the earlier access that it collides with, if there is one: who,
  const void* other_code = nullptr;  // and where
  bool in_thread = false;
  uint3 block{}, thread{};
};

class Block {
 public:
  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // The block that the calling thread runs right now; null outside of kernels.
  static Block* current();

  // Begins work on a launch, on the worker thread that will run its blocks.
  void begin(const Plan& plan);
  // Runs block number `index` to its end. Gives what went wrong.
  std::optional<Failure> run(std::uint64_t index);

  // What kernels call (device.h).
  int barrier(Vote vote, int predicate, Where where);
  std::uint64_t warp(WarpOperation operation, unsigned mask, std::uint64_t value, int argument, int width, Where where);
  void* dynamic_shared() const { return dynamic_; }

  // Ends the block with a message about the current thread, from kernel code or a signal handler.
  [[noreturn]] void fail(Failure failure);
  [[noreturn]] void fail(std::string message, const void* code = nullptr);

  // For the checker, and for explanations.
  std::size_t thread() const { return current_; }
  std::size_t threads() const { return threads_.size(); }
  std::uint64_t index() const { return index_; }
  const Plan& plan() const { return *plan_; }
  long stack_of(const void* address) const { return stacks_.index_of(address); }
  std::size_t current_stack() const { return threads_[current_].fiber; }
  unsigned present(std::size_t warp) const { return warps_[warp].present; }
  const char* static_shared() const { return static_shared_; }
  std::size_t static_shared_bytes() const { return static_shared_bytes_; }
  const char* code_begin() const { return code_begin_; }  // what the program or module that holds the kernel occupies
  const char* code_end() const { return code_end_; }

 private:
  enum class State : std::uint8_t { fresh, ready, running, at_barrier, at_warp, left };
  static constexpr std::uint32_t no_fiber = ~0u;
  static constexpr std::size_t most_threads = 1024;

  struct Thread {
    State state = State::fresh;
    std::uint32_t fiber = no_fiber;
    std::uint64_t result = 0;  // of the warp operation or barrier that it waited for
    Where place{};             // where it waits
  };
  // Lanes that have come to one warp operation and wait for the others of their mask.
  struct Meeting {
    WarpOperation operation;
    unsigned mask;
    int width;
    unsigned arrived = 0;
    std::uint64_t value[32]{};
    int argument[32]{};
  };
  struct Warp {
    unsigned present = 0;  // lanes that exist and have not left the kernel
    std::vector<Meeting> meetings;
  };

  static void fiber_main();
  void run_threads();
  void leave();
  void wait();
  void make_ready(std::size_t thread);
  bool pick();
  void continue_current();
  std::uint32_t take_fiber();
  void finish(Warp& warp, std::size_t meeting, std::size_t base);
  void check_departure(Warp& warp, std::size_t base);
  void release_barrier();
  void redraw_order();
  void clear_shared();
  void find_static_shared();
  std::string stuck() const;
  std::string thread_name(std::size_t thread) const;

  const Plan* plan_ = nullptr;
  std::uint64_t index_ = 0;
  Order order_{0};
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::size_t current_ = 0;
  std::size_t left_ = 0;

  // Threads that could run: all in pool 0, or one pool per warp, emptied in the order of priority_.
  bool depth_first_ = false;
  std::vector<std::vector<std::uint16_t>> ready_;
  std::vector<std::uint16_t> priority_;
  std::size_t cursor_ = 0;

  // The barrier that some threads wait at.
  std::size_t arrived_ = 0;
  Vote vote_ = Vote::none;
  int true_predicates_ = 0;
  Where barrier_place_{};

  Stacks stacks_{most_threads};
  std::vector<Context> fibers_;
  std::vector<std::uint32_t> free_fibers_;
  Context scheduler_;
  sigjmp_buf escape_;
  std::optional<Failure> failure_;

  char* static_shared_ = nullptr;  // this thread's copy of the kernel's module's zero-initialised thread-locals
  std::size_t static_shared_bytes_ = 0;
  const char* code_begin_ = nullptr;
  const char* code_end_ = nullptr;
  char* dynamic_mapping_ = nullptr;
  std::size_t dynamic_mapping_bytes_ = 0;
  char* dynamic_ = nullptr;  // ends where a page that faults begins
};

}  // namespace actgrad::cuda_emulator
