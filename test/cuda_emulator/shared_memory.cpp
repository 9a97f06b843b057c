// A block's shared memory: fresh, and full of NaN, for every block.
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "test/cuda_emulator/block.h"

// Gives the calling thread's copy of a module's thread-local variables, and makes it if there is none yet.
extern "C" void* __tls_get_addr(std::size_t module_and_offset[2]);

namespace actgrad::cuda_emulator {

void* dynamic_shared() {
  return Block::current()->dynamic_shared();
}

// Static shared memory is thread_local, and never has an initial value: it lies among the zero-initialised
// thread-locals of the module that the kernel is in. Other such variables of that module, on this thread, are cleared
// with it: so the emulator is a module of its own.
void Block::find_static_shared() {
  struct Search {
    std::uintptr_t function;
    Block& block;
  } search{reinterpret_cast<std::uintptr_t>(plan_->call->function()), *this};
  static_shared_ = nullptr;
  static_shared_bytes_ = 0;
  const auto visit = [](dl_phdr_info* info, std::size_t, void* data) {
    const auto& [function, block] = *static_cast<Search*>(data);
    const ElfW(Phdr)* thread_locals = nullptr;
    std::uintptr_t begin = ~std::uintptr_t{0}, end = 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type == PT_TLS) thread_locals = &segment;
      if (segment.p_type != PT_LOAD) continue;
      begin = std::min(begin, info->dlpi_addr + segment.p_vaddr);
      end = std::max(end, info->dlpi_addr + segment.p_vaddr + segment.p_memsz);
    }
    if (function < begin || function >= end) return 0;
    block.code_begin_ = reinterpret_cast<const char*>(begin);
    block.code_end_ = reinterpret_cast<const char*>(end);
    if (thread_locals != nullptr) {
      std::size_t where[2] = {info->dlpi_tls_modid, 0};
      block.static_shared_ = static_cast<char*>(__tls_get_addr(where)) + thread_locals->p_filesz;
      block.static_shared_bytes_ = thread_locals->p_memsz - thread_locals->p_filesz;
    }
    return 1;
  };
  dl_iterate_phdr(visit, &search);

  constexpr std::size_t page = 4096;
  const std::size_t needed = (plan_->shape.shared_bytes + page - 1) / page * page;
  if (needed > dynamic_mapping_bytes_ || dynamic_mapping_ == nullptr) {
    if (dynamic_mapping_ != nullptr) munmap(dynamic_mapping_, dynamic_mapping_bytes_ + page);
    void* memory = mmap(nullptr, needed + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    dynamic_mapping_ = static_cast<char*>(memory);
    dynamic_mapping_bytes_ = needed;
    mprotect(dynamic_mapping_ + needed, page, PROT_NONE);
  }
  dynamic_ = dynamic_mapping_ + dynamic_mapping_bytes_ - (plan_->shape.shared_bytes + 15) / 16 * 16;
}

void Block::clear_shared() {
  if (static_shared_bytes_ > 0) std::memset(static_shared_, 0xFF, static_shared_bytes_);
  std::memset(dynamic_, 0xFF, plan_->shape.shared_bytes);
}

Block::Block() = default;

Block::~Block() {
  if (dynamic_mapping_ != nullptr) munmap(dynamic_mapping_, dynamic_mapping_bytes_ + 4096);
}

}  // namespace actgrad::cuda_emulator
