// Warp operations: lanes meet, the last one computes everyone's result.
#include <algorithm>
#include <bit>
#include <cstdio>

#include "test/cuda_emulator/block.h"
#include "test/cuda_emulator/checker.h"

namespace actgrad::cuda_emulator {
namespace {

const char* name(WarpOperation operation) {
  switch (operation) {
    case WarpOperation::sync: return "__syncwarp";
    case WarpOperation::ballot: return "__ballot_sync";
    case WarpOperation::all: return "__all_sync";
    case WarpOperation::any: return "__any_sync";
    case WarpOperation::shuffle: return "__shfl_sync";
    case WarpOperation::shuffle_up: return "__shfl_up_sync";
    case WarpOperation::shuffle_down: return "__shfl_down_sync";
    case WarpOperation::shuffle_xor: return "__shfl_xor_sync";
    default: return "__reduce_*_sync";
  }
}

// Whether lanes of the mask that have left, or never were, may be missing: nobody waits for a value of theirs.
bool may_be_absent(WarpOperation operation) {
  return operation <= WarpOperation::any;
}

// Folds 32-bit values as __reduce_*_sync does.
std::uint32_t combine(WarpOperation operation, std::uint32_t a, std::uint32_t b) {
  const auto signed_a = static_cast<std::int32_t>(a), signed_b = static_cast<std::int32_t>(b);
  switch (operation) {
    case WarpOperation::add: return a + b;
    case WarpOperation::min_signed: return static_cast<std::uint32_t>(std::min(signed_a, signed_b));
    case WarpOperation::max_signed: return static_cast<std::uint32_t>(std::max(signed_a, signed_b));
    case WarpOperation::min_unsigned: return std::min(a, b);
    case WarpOperation::max_unsigned: return std::max(a, b);
    case WarpOperation::bit_and: return a & b;
    case WarpOperation::bit_or: return a | b;
    default: return a ^ b;
  }
}

// The lane that a shuffle reads from; `lane` itself where the source would lie outside its segment of `width` lanes.
int source_lane(WarpOperation operation, int lane, int argument, int width) {
  const int segment = lane & -width, place = lane & (width - 1);
  switch (operation) {
    case WarpOperation::shuffle: return segment + (argument & (width - 1));
    case WarpOperation::shuffle_up: return place >= argument ? lane - argument : lane;
    case WarpOperation::shuffle_down: return place + argument < width ? lane + argument : lane;
    default: return (lane ^ argument) < segment + width ? lane ^ argument : lane;
  }
}

std::string hexadecimal(unsigned mask) {
  char digits[16];
  std::snprintf(digits, sizeof(digits), "0x%08x", mask);
  return digits;
}

}  // namespace

std::uint64_t Block::warp(WarpOperation operation, unsigned mask, std::uint64_t value, int argument, int width,
                          Where where) {
  const std::size_t base = current_ / 32 * 32, lane = current_ % 32;
  Warp& warp = warps_[current_ / 32];
  if (!(mask >> lane & 1u))
    fail(std::string(name(operation)) + ": the caller's lane is not in the mask " + hexadecimal(mask));
  if (!std::has_single_bit(static_cast<unsigned>(width)) || width > 32)
    fail("a shuffle's width must be a power of 2, up to 32");
  auto meeting = std::find_if(warp.meetings.begin(), warp.meetings.end(), [&](const Meeting& other) {
    return other.operation == operation && other.mask == mask && other.width == width;
  });
  if (meeting == warp.meetings.end()) {
    meeting = warp.meetings.insert(meeting, Meeting{.operation = operation, .mask = mask, .width = width});
  }
  meeting->arrived |= 1u << lane;
  meeting->value[lane] = value;
  meeting->argument[lane] = argument;
  Thread& me = threads_[current_];
  me.state = State::at_warp;
  me.place = where;
  check_departure(warp, base);
  wait();
  return me.result;
}

// Completes the meetings that nobody else is expected at, and refuses those at which somebody will never come.
void Block::check_departure(Warp& warp, std::size_t base) {
  for (std::size_t i = 0; i < warp.meetings.size();) {
    const Meeting& meeting = warp.meetings[i];
    const unsigned absent = meeting.mask & ~warp.present;
    if (absent != 0 && !may_be_absent(meeting.operation)) {
      fail(std::string(name(meeting.operation)) + ": the mask " + hexadecimal(meeting.mask) + " names lane " +
           std::to_string(std::countr_zero(absent)) + ", which has left the kernel or does not exist");
    }
    if (meeting.arrived == (meeting.mask & warp.present)) {
      finish(warp, i, base);
    } else {
      ++i;
    }
  }
}

void Block::finish(Warp& warp, std::size_t index, std::size_t base) {
  const Meeting meeting = warp.meetings[index];
  warp.meetings.erase(warp.meetings.begin() + static_cast<std::ptrdiff_t>(index));
  if (meeting.operation == WarpOperation::sync) checker::sync_warp(base / 32, meeting.arrived);

  std::uint32_t votes = 0, folded = 0;
  bool first = true;
  for (unsigned rest = meeting.arrived; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const auto value = static_cast<std::uint32_t>(meeting.value[lane]);
    votes |= (value & 1u) << lane;
    folded = first ? value : combine(meeting.operation, folded, value);
    first = false;
  }
  for (unsigned rest = meeting.arrived; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    std::uint64_t result = folded;
    if (meeting.operation == WarpOperation::ballot) result = votes;
    if (meeting.operation == WarpOperation::all) result = votes == meeting.arrived;
    if (meeting.operation == WarpOperation::any) result = votes != 0;
    if (meeting.operation >= WarpOperation::shuffle && meeting.operation <= WarpOperation::shuffle_xor) {
      const int source = source_lane(meeting.operation, lane, meeting.argument[lane], meeting.width);
      result = meeting.arrived >> source & 1u ? meeting.value[source] : ~std::uint64_t{0};
    }
    threads_[base + static_cast<std::size_t>(lane)].result = result;
    make_ready(base + static_cast<std::size_t>(lane));
  }
}

}  // namespace actgrad::cuda_emulator
