# CUDA sources. ACTGRAD_CUDA says who compiles them:
#   off        nobody: they are left out
#   nvcc       the CUDA toolkit, for GPUs
#   emulated   the C++ compiler, with the host emulator of test/cuda_emulator: kernels run, and are tested, without a GPU
#   checked    so too, and the emulator watches every load and store of the kernels
#
# actgrad_cuda_sources(TARGET FILE.cu…) adds them to a target. Other sources of the target may include <cuda_runtime.h>.
set(ACTGRAD_CUDA "off" CACHE STRING "who compiles CUDA sources: off, nvcc, emulated, checked")
set_property(CACHE ACTGRAD_CUDA PROPERTY STRINGS off nvcc emulated checked)
set(ACTGRAD_CUDA_EMULATED OFF)

if(ACTGRAD_CUDA STREQUAL "nvcc")
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  find_package(CUDAToolkit REQUIRED)
elseif(ACTGRAD_CUDA MATCHES "^(emulated|checked)$")
  set(ACTGRAD_CUDA_EMULATED ON)
  # Of the toolkit only headers are needed: types and declarations.
  find_path(ACTGRAD_CUDA_INCLUDE cuda_runtime_api.h
    HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES include REQUIRED
    DOC "the folder of the CUDA toolkit's headers")
elseif(NOT ACTGRAD_CUDA STREQUAL "off")
  message(FATAL_ERROR "ACTGRAD_CUDA is '${ACTGRAD_CUDA}' (known: off, nvcc, emulated, checked)")
endif()

function(actgrad_cuda_sources target)
  if(ACTGRAD_CUDA STREQUAL "off")
    return()
  endif()
  target_sources(${target} PRIVATE ${ARGN})
  if(ACTGRAD_CUDA STREQUAL "nvcc")
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA
      COMPILE_OPTIONS "-Werror;all-warnings;--extended-lambda;--expt-relaxed-constexpr")
    target_link_libraries(${target} PRIVATE CUDA::cudart)
    return()
  endif()
  # -O1 at least: unoptimised kernels take many times as long. -g1: errors name file and line.
  set(options -x c++ -g1)
  if(ACTGRAD_CUDA STREQUAL "checked")
    # At -O1 fewer loads are optimised away unseen. The functions that the instrumented code calls are the emulator's:
    # no sanitizer's library is linked.
    list(APPEND options -O1 -fsanitize=thread,bounds,alignment -fno-sanitize-recover=all
      --param=tsan-instrument-func-entry-exit=0)
  else()
    list(APPEND options -O2)
  endif()
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${options}")
  target_link_libraries(${target} PRIVATE actgrad_cuda_emulator)
endfunction()
