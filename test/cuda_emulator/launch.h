// What a launch hands to the emulator: the kernel with copies of its arguments.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>

namespace actgrad::cuda_emulator {

struct Shape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes;
};

// A kernel and its arguments, as one object: kernels may read these bytes and nothing else of the host's memory.
class KernelCall {
 public:
  virtual ~KernelCall() = default;
  virtual void run() const = 0;  // as one thread; its own copy of every argument
  virtual const void* function() const = 0;
  virtual std::size_t bytes() const = 0;
};

template <class... Parameters>
class KernelCallOf final : public KernelCall {
 public:
  explicit KernelCallOf(void (*kernel)(Parameters...), const Parameters&... arguments)
      : kernel_(kernel), arguments_(arguments...) {}
  void run() const override { std::apply(kernel_, arguments_); }
  const void* function() const override { return reinterpret_cast<const void*>(kernel_); }
  std::size_t bytes() const override { return sizeof(*this); }

 private:
  void (*kernel_)(Parameters...);
  std::tuple<Parameters...> arguments_;
};

// Runs the kernel, or records it if the stream is being captured. Returns what cudaLaunchKernel would; throws
// KernelError (emulator.h) if the kernel is caught doing something that it must not.
cudaError_t launch(const Shape& shape, cudaStream_t stream, std::shared_ptr<const KernelCall> call);

template <class... Parameters>
cudaError_t launch(const Shape& shape, cudaStream_t stream, void (*kernel)(Parameters...),
                   const std::type_identity_t<Parameters>&... arguments) {
  return launch(shape, stream, std::make_shared<KernelCallOf<Parameters...>>(kernel, arguments...));
}

}  // namespace actgrad::cuda_emulator
