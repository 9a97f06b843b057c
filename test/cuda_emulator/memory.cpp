#include "test/cuda_emulator/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "test/cuda_emulator/checker.h"
#include "test/cuda_emulator/emulator.h"

namespace actgrad::cuda_emulator {
namespace {
constexpr std::size_t page = 4096;
constexpr unsigned char pattern = 0xA7;

// Of the pages of device memory; negative if the system has none to give. A thread has no rights to it at first.
int protection_key() {
  static const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  return key;
}

}  // namespace

bool host_is_kept_out() {
  return protection_key() >= 0;
}

DeviceAccess::DeviceAccess() {
  if (!host_is_kept_out()) return;
  before_ = pkey_get(protection_key());
  pkey_set(protection_key(), 0);
}

DeviceAccess::~DeviceAccess() {
  if (host_is_kept_out()) pkey_set(protection_key(), static_cast<unsigned>(before_));
}

std::recursive_mutex& device_mutex() {
  static auto* mutex = new std::recursive_mutex;  // never destroyed: static destructors may still free memory
  return *mutex;
}

Memory& Memory::instance() {
  static auto* memory = new Memory;
  return *memory;
}

void* Memory::allocate(std::size_t bytes, Allocation::Kind kind) {
  if (bytes > size - std::min(size, used_)) return nullptr;
  Allocation made;
  made.bytes = bytes;
  made.kind = kind;
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  made.mapping_bytes = std::max(page, (padded + page - 1) / page * page);
  void* mapping = mmap(nullptr, made.mapping_bytes + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return nullptr;
  made.mapping = static_cast<char*>(mapping);
  char* guard = made.mapping + made.mapping_bytes;
  mprotect(guard, page, PROT_NONE);
  made.begin = guard - std::max(padded, alignment);
  std::memset(made.begin, 0xFF, bytes);
  std::memset(made.begin + bytes, pattern, static_cast<std::size_t>(guard - made.begin) - bytes);
  if (kind == Allocation::Kind::device && host_is_kept_out())
    pkey_mprotect(made.mapping, made.mapping_bytes, PROT_READ | PROT_WRITE, protection_key());
  made.shadow = checker::allocated(bytes, kind != Allocation::Kind::device);
  used_ += bytes;
  Allocation& stored = allocations_[reinterpret_cast<std::uintptr_t>(guard + page)] = made;
  if (stored.begin + bytes != guard) patterned_[reinterpret_cast<std::uintptr_t>(stored.begin)] = &stored;
  return stored.begin;
}

bool Memory::release(void* pointer) {
  Allocation* found = find(pointer);
  if (found == nullptr || found->begin != pointer) return false;
  // Not unmapped: the system would give the addresses to somebody else. The memory itself goes back.
  mmap(found->mapping, found->mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  found->freed = true;
  used_ -= found->bytes;
  patterned_.erase(reinterpret_cast<std::uintptr_t>(found->begin));
  checker::freed(found->shadow, found->bytes);
  found->shadow = nullptr;
  return true;
}

Allocation* Memory::find(const void* address) {
  const auto* byte = static_cast<const char*>(address);
  const auto contains = [byte](const Allocation& a) {
    return !a.freed && byte >= a.begin && byte < a.begin + std::max<std::size_t>(a.bytes, 1);
  };
  if (latest_ != nullptr && contains(*latest_)) return latest_;
  const auto after = allocations_.upper_bound(reinterpret_cast<std::uintptr_t>(address));
  if (after == allocations_.end() || !contains(after->second)) return nullptr;
  return latest_ = &after->second;
}

bool Memory::contains(const void* pointer, std::size_t bytes) {
  const Allocation* found = find(pointer);
  return found != nullptr && static_cast<const char*>(pointer) + bytes <= found->begin + found->bytes;
}

const Allocation* Memory::damaged() {
  for (const auto& [begin, allocation] : patterned_) {
    char* const end = allocation->mapping + allocation->mapping_bytes;
    char* const first = allocation->begin + allocation->bytes;
    if (std::all_of(first, end, [](char byte) { return static_cast<unsigned char>(byte) == pattern; })) continue;
    std::fill(first, end, static_cast<char>(pattern));
    return allocation;
  }
  return nullptr;
}

std::string Memory::describe(const void* address) {
  const auto after = allocations_.upper_bound(reinterpret_cast<std::uintptr_t>(address));
  if (after == allocations_.end()) return "";
  const Allocation& near = after->second;
  const auto* byte = static_cast<const char*>(address);
  if (byte < near.mapping) return "";
  const std::string what =
      (near.freed ? "a freed allocation of " : "an allocation of ") + std::to_string(near.bytes) + " bytes";
  if (byte < near.begin) return std::to_string(near.begin - byte) + " bytes before " + what;
  const auto offset = static_cast<std::size_t>(byte - near.begin);
  if (offset < near.bytes) return "byte " + std::to_string(offset) + " of " + what;
  return std::to_string(offset - near.bytes) + " bytes behind the end of " + what;
}

}  // namespace actgrad::cuda_emulator
