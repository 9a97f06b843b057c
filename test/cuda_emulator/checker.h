// The checker: in the build `cuda-checked` the compiler announces every load and store of a kernel
// (-fsanitize=thread), and what is announced comes here instead of to a sanitizer's library (access_hooks.cpp).
//
// Every byte of global and shared memory has a shadow cell with its last writer and two readers. Two accesses of
// different threads, one of them a write, are a race unless something orders them; whether they really collided in
// this run does not matter. Order is made by
//   __syncthreads        everything before it, for the block;
//   __syncwarp           everything before it, for the lanes of its mask (shuffles and votes order nothing);
//   __threadfence, then an atomic, then an atomic of another thread on the same variable: what the first thread did
//                        before its fence, and its block before the last barrier before that fence; for the second
//                        thread, and for its block after the next barrier;
//   the end of a launch  everything.
// Two atomics never race with each other. Blocks run one after another here: there is one worker. In other builds all
// of these functions do nothing.
#pragma once

#include <cstddef>

namespace actgrad::cuda_emulator {

class Block;

namespace checker {

// Tells of memory that comes and goes. Gives the shadow of an allocation, whose bytes count as written or not.
void* allocated(std::size_t bytes, bool written);
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
