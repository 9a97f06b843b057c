#include "test/cuda_emulator/block.h"

#include <algorithm>

#include "test/cuda_emulator/checker.h"

constinit thread_local uint3 threadIdx{1, 1, 1};
constinit thread_local uint3 blockIdx{1, 1, 1};
constinit thread_local dim3 blockDim{1, 1, 1};
constinit thread_local dim3 gridDim{1, 1, 1};

namespace actgrad::cuda_emulator {
namespace {

constinit thread_local Block* running = nullptr;

bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() && a.column() == b.column() && std::string_view(a.file_name()) == b.file_name();
}

std::string text(const Where& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

}  // namespace

Block* Block::current() {
  return running;
}

void Block::begin(const Plan& plan) {
  plan_ = &plan;
  find_static_shared();
  blockDim = plan.shape.block;
  gridDim = plan.shape.grid;
}

std::optional<Failure> Block::run(std::uint64_t index) {
  index_ = index;
  const dim3 grid = plan_->shape.grid;
  blockIdx = {static_cast<unsigned>(index % grid.x), static_cast<unsigned>(index / grid.x % grid.y),
              static_cast<unsigned>(index / grid.x / grid.y)};
  order_ = Order(plan_->seed ^ index * 0xD1342543DE82EF95u);
  clear_shared();

  const std::size_t count = plan_->threads();
  threads_.assign(count, {});
  warps_.resize((count + 31) / 32);
  ready_.resize(warps_.size());
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    const std::size_t lanes = std::min<std::size_t>(32, count - 32 * w);
    warps_[w].present = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warps_[w].meetings.clear();
    ready_[w].clear();
  }
  left_ = arrived_ = 0;
  depth_first_ = order_.below(2) == 1;
  redraw_order();
  for (std::size_t thread = 0; thread < count; ++thread) ready_[depth_first_ ? thread / 32 : 0].push_back(thread);

  checker::begin_block(*this);
  failure_.reset();
  running = this;
  if (sigsetjmp(escape_, 1) == 0) {
    pick();
    threads_[current_].fiber = take_fiber();
    switch_context(scheduler_, fibers_[threads_[current_].fiber]);
  } else {
    // The fibers were abandoned in the middle of something: begin anew with each.
    fibers_.clear();
    free_fibers_.clear();
  }
  running = nullptr;
  return failure_;
}

// The body of every fiber: runs the current thread, then the next one that has not started.
void Block::fiber_main() {
  running->run_threads();
}

void Block::run_threads() {
  for (;;) {
    const std::uint32_t fiber = threads_[current_].fiber;
    threads_[current_].state = State::running;
    threadIdx = plan_->thread_position[current_];
    plan_->call->run();
    leave();
    if (!pick()) {
      if (left_ < threads_.size()) fail(stuck());
      free_fibers_.push_back(fiber);
      switch_context(fibers_[fiber], scheduler_);
    } else if (threads_[current_].state == State::fresh) {
      threads_[current_].fiber = fiber;
    } else {
      free_fibers_.push_back(fiber);
      switch_context(fibers_[fiber], fibers_[threads_[current_].fiber]);
    }
  }
}

// The current thread has returned from the kernel.
void Block::leave() {
  threads_[current_].state = State::left;
  ++left_;
  if (arrived_ > 0) fail("it leaves the kernel while others wait in __syncthreads() at " + text(barrier_place_));
  Warp& warp = warps_[current_ / 32];
  warp.present &= ~(1u << current_ % 32);
  if (!warp.meetings.empty()) check_departure(warp, current_ / 32 * 32);
}

// Lets others run until the current thread is ready and its turn has come.
void Block::wait() {
  const std::size_t me = current_;
  if (!pick()) fail(stuck());
  if (current_ != me) {
    if (threads_[current_].state == State::fresh) threads_[current_].fiber = take_fiber();
    switch_context(fibers_[threads_[me].fiber], fibers_[threads_[current_].fiber]);
  }
  threads_[me].state = State::running;
  threadIdx = plan_->thread_position[me];
}

std::uint32_t Block::take_fiber() {
  if (!free_fibers_.empty()) {
    const std::uint32_t fiber = free_fibers_.back();
    free_fibers_.pop_back();
    return fiber;
  }
  const std::uint32_t fiber = static_cast<std::uint32_t>(fibers_.size());
  if (fibers_.capacity() == 0) fibers_.reserve(most_threads);
  // Tops at different offsets: equal ones would compete for the same sets of the cache.
  prepare(fibers_.emplace_back(), stacks_.low(fiber), Stacks::bytes - fiber % 20 * 192, &Block::fiber_main);
  return fiber;
}

void Block::make_ready(std::size_t thread) {
  threads_[thread].state = State::ready;
  ready_[depth_first_ ? thread / 32 : 0].push_back(static_cast<std::uint16_t>(thread));
}

// Chooses the thread to run next: false if there is none.
bool Block::pick() {
  if (depth_first_) {
    while (cursor_ < priority_.size() && ready_[priority_[cursor_]].empty()) ++cursor_;
    if (cursor_ == priority_.size()) return false;
  }
  std::vector<std::uint16_t>& pool = ready_[depth_first_ ? priority_[cursor_] : 0];
  if (pool.empty()) return false;
  const std::size_t choice = order_.below(pool.size());
  current_ = pool[choice];
  pool[choice] = pool.back();
  pool.pop_back();
  return true;
}

void Block::redraw_order() {
  cursor_ = 0;
  if (!depth_first_) return;
  priority_.resize(warps_.size());
  for (std::size_t w = 0; w < priority_.size(); ++w) priority_[w] = static_cast<std::uint16_t>(w);
  order_.shuffle(priority_);
}

int Block::barrier(Vote vote, int predicate, Where where) {
  if (left_ > 0) fail("__syncthreads() at " + text(where) + " after other threads have left the kernel");
  if (arrived_ == 0) {
    barrier_place_ = where;
    vote_ = vote;
    true_predicates_ = 0;
  } else if (!same_place(barrier_place_, where)) {
    fail("__syncthreads() at " + text(where) + " while others wait in the one at " + text(barrier_place_));
  }
  true_predicates_ += predicate != 0;
  Thread& me = threads_[current_];
  me.state = State::at_barrier;
  me.place = where;
  if (++arrived_ == threads_.size()) release_barrier();
  wait();
  return static_cast<int>(me.result);
}

void Block::release_barrier() {
  checker::barrier();
  const int all = static_cast<int>(threads_.size());
  const int result = vote_ == Vote::count ? true_predicates_
                     : vote_ == Vote::all ? true_predicates_ == all
                                          : true_predicates_ > 0;
  arrived_ = 0;
  redraw_order();
  for (std::size_t thread = 0; thread < threads_.size(); ++thread) {
    threads_[thread].result = static_cast<std::uint64_t>(result);
    make_ready(thread);
  }
}

void Block::fail(Failure failure) {
  failure.in_thread = true;
  failure.block = blockIdx;
  failure.thread = plan_->thread_position[current_];
  failure_ = std::move(failure);
  siglongjmp(escape_, 1);
}

void Block::fail(std::string message, const void* code) {
  Failure failure;
  failure.message = std::move(message);
  failure.code = code;
  fail(std::move(failure));
}

std::string Block::thread_name(std::size_t thread) const {
  const uint3 t = plan_->thread_position[thread];
  return "(" + std::to_string(t.x) + "," + std::to_string(t.y) + "," + std::to_string(t.z) + ")";
}

// Nobody can continue: says what one thread of each kind waits for.
std::string Block::stuck() const {
  std::string message = "no thread can continue:";
  for (const State state : {State::at_barrier, State::at_warp}) {
    for (std::size_t thread = 0; thread < threads_.size(); ++thread) {
      if (threads_[thread].state != state) continue;
      message += " thread " + thread_name(thread) + " waits " +
                 (state == State::at_barrier ? "in __syncthreads()" : "for lanes of its mask") + " at " +
                 text(threads_[thread].place) + ";";
      break;
    }
  }
  return message + " " + std::to_string(left_) + " of " + std::to_string(threads_.size()) + " threads have left";
}

}  // namespace actgrad::cuda_emulator
