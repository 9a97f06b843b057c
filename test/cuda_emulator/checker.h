// The checker: in the build `cuda-checked` the compiler announces every load and store of a kernel
// (-fsanitize=thread), and what is announced comes here instead of to a sanitizer's library (access_hooks.cpp).
//
// Every byte of global and shared memory has a shadow cell with its last writer and its last two readers. Two accesses
// of different threads, one of them a write, are a race unless something orders them; whether they really collided in
// this run does not matter. Order is made by
//   __syncthreads        everything before it, for the block;
//   __syncwarp           everything before it, for the lanes of its mask (shuffles and votes order nothing);
//   __threadfence, then an atomic; an atomic of another thread on the same variable afterwards: what came before the
//                        fence, and before a barrier that came before the fence; for the reader's block after its next barrier;
//   the end of a launch  everything.
// Two atomics never race with each other. In other builds all of these do nothing.
#pragma once

#include <cstddef>

namespace actgrad::cuda_emulator {

class Block;

namespace checker {

// Tells of memory that comes and goes; gives the shadow of an allocation.
void* allocated(const void* begin, std::size_t bytes, bool written);
void freed(void* shadow, std::size_t bytes);
// The host, or a library's stand-in, has written these bytes.
void written(const void* begin, std::size_t bytes);

// The course of a block, from the scheduler.
void begin_block(Block& block);
void barrier();
void sync_warp(std::size_t warp, unsigned lanes);

// What the current thread does. `code` is the return address of the announcement.
void access(const void* address, std::size_t bytes, bool write, const void* code);
void atomic(const void* address, std::size_t bytes, const void* code);
void fence();

}  // namespace checker
}  // namespace actgrad::cuda_emulator
