# CUDA sources. ACTGRAD_CUDA says who compiles them:
#   off        nobody: the build is for CPUs only
#   nvcc       the CUDA toolkit, for GPUs; where it is not installed, as off
#   emulated   the C++ compiler, with the host emulator of test/cuda_emulator: kernels run, and are tested, without a GPU
#   checked    so too, and the emulator watches every load and store of the kernels
set(ACTGRAD_CUDA "off" CACHE STRING "who compiles CUDA sources: off, nvcc, emulated, checked")
set_property(CACHE ACTGRAD_CUDA PROPERTY STRINGS off nvcc emulated checked)
set(ACTGRAD_CUDA_LIBS "" CACHE STRING
  "folders with include/ and lib/ in which cuBLAS, cuSOLVER and cuDNN are looked for when the toolkit has none, such as python's nvidia/*")
set(ACTGRAD_CUDA_ENABLED OFF)
set(ACTGRAD_CUDA_EMULATED OFF)

# actgrad_find_cuda_library(ACTGRAD_X HEADER NAME…): the library ACTGRAD_X and the folder ACTGRAD_X_INCLUDE of its header, from
# the toolkit or from ACTGRAD_CUDA_LIBS; both from the same of the two, since their versions belong together.
macro(actgrad_find_cuda_library variable header)
  find_library(${variable} NAMES ${ARGN} NAMES_PER_DIR HINTS ${CUDAToolkit_LIBRARY_DIR} ${ACTGRAD_CUDA_LIBS}
    PATH_SUFFIXES lib lib64 DOC "the library of ${header}")
  set(beside "")
  if(${variable})
    cmake_path(GET ${variable} PARENT_PATH beside)
  endif()
  find_path(${variable}_INCLUDE ${header} HINTS ${beside}/../include ${CUDAToolkit_INCLUDE_DIRS} ${ACTGRAD_CUDA_LIBS}
    PATH_SUFFIXES include DOC "the folder of ${header}")
endmacro()

# actgrad_find_toolkit_library(NAME HEADER VERSION): ACTGRAD_CUNAME, what to link for cuNAME: the toolkit's, or else, where the toolkit
# comes without it, ACTGRAD_OTHER_CUNAME as above.
macro(actgrad_find_toolkit_library name header version)
  string(TOUPPER cu${name} upper)
  set(ACTGRAD_${upper} CUDA::cu${name})
  find_path(ACTGRAD_TOOLKIT_${upper} ${header} PATHS ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH
    DOC "the folder of ${header} in the toolkit")
  if(NOT TARGET CUDA::cu${name} OR NOT ACTGRAD_TOOLKIT_${upper})
    actgrad_find_cuda_library(ACTGRAD_OTHER_${upper} ${header} cu${name} libcu${name}.so.${version})
    if(NOT ACTGRAD_OTHER_${upper} OR NOT ACTGRAD_OTHER_${upper}_INCLUDE)
      message(FATAL_ERROR "libcu${name}.so.${version} not found, neither in the CUDA toolkit nor in ACTGRAD_CUDA_LIBS ('${ACTGRAD_CUDA_LIBS}')")
    endif()
    set(ACTGRAD_${upper} ${ACTGRAD_OTHER_${upper}})
  endif()
endmacro()

if(ACTGRAD_CUDA STREQUAL "nvcc")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # the last also as PTX, which newer GPUs translate
  endif()
  find_program(ACTGRAD_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin
    DOC "the compiler of the CUDA toolkit")
  if(ACTGRAD_NVCC)
    if(NOT DEFINED CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER ${ACTGRAD_NVCC})
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has learned it
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    find_package(CUDAToolkit REQUIRED)
    set(ACTGRAD_CUDA_ENABLED ON)
    actgrad_find_cuda_library(ACTGRAD_CUDNN cudnn.h cudnn libcudnn.so.9)
    if(NOT ACTGRAD_CUDNN OR NOT ACTGRAD_CUDNN_INCLUDE)
      set(ACTGRAD_CUDNN "")
      message(STATUS "cuDNN not found: on CUDA devices the im2col engine serves every convolution")
    endif()
    actgrad_find_toolkit_library(blas cublas_v2.h ${CUDAToolkit_VERSION_MAJOR})
    math(EXPR version "${CUDAToolkit_VERSION_MAJOR} - 1")  # CUDA 13 has cuSOLVER 12
    actgrad_find_toolkit_library(solver cusolverDn.h ${version})
  else()
    message(STATUS "nvcc not found: this build is for CPUs only")
  endif()
elseif(ACTGRAD_CUDA MATCHES "^(emulated|checked)$")
  set(ACTGRAD_CUDA_ENABLED ON)
  set(ACTGRAD_CUDA_EMULATED ON)
  # Of the toolkit only headers are needed: types and declarations.
  find_path(ACTGRAD_CUDA_INCLUDE cuda_runtime_api.h
    HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES include REQUIRED
    DOC "the folder of the CUDA toolkit's headers")
  find_path(ACTGRAD_CUDNN_INCLUDE cudnn.h HINTS ${ACTGRAD_CUDA_INCLUDE} ${ACTGRAD_CUDA_LIBS} PATH_SUFFIXES include
    DOC "the folder of cudnn.h")
  set(ACTGRAD_CUDNN "")
  if(ACTGRAD_CUDNN_INCLUDE)
    set(ACTGRAD_CUDNN actgrad_cuda_emulator)  # which stands in for it
  endif()
elseif(NOT ACTGRAD_CUDA STREQUAL "off")
  message(FATAL_ERROR "ACTGRAD_CUDA is '${ACTGRAD_CUDA}' (known: off, nvcc, emulated, checked)")
endif()

# actgrad_cuda_sources(TARGET FILE.cu…) adds CUDA sources to a target of the calling folder. Other sources of the target may
# include <cuda_runtime.h>.
function(actgrad_cuda_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  if(NOT ACTGRAD_CUDA_EMULATED)
    set(options --extended-lambda --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra)
    if(ACTGRAD_WARNINGS_AS_ERRORS)
      list(APPEND options -Werror=all-warnings -Xcompiler=-Werror)
    endif()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CUDA COMPILE_OPTIONS "${options}")
    target_link_libraries(${target} PRIVATE CUDA::cudart_static)
    return()
  endif()
  # At least -O1, whatever the build type: unoptimised kernels take many times as long. -g1: errors name file and line.
  set(options -g1)
  if(ACTGRAD_CUDA STREQUAL "checked")
    # At -O1 fewer loads are optimised away unseen. The functions that the instrumented code calls are the emulator's:
    # no sanitizer's library is linked.
    list(APPEND options -O1 -fsanitize=thread,bounds,alignment -fno-sanitize-recover=all
      --param=tsan-instrument-func-entry-exit=0)
  else()
    list(APPEND options -O2)
  endif()
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${options}")
  target_link_libraries(${target} PRIVATE actgrad_cuda_emulator actgrad_flags)
endfunction()

# actgrad_cuda_module(KERNELS FILE.cu…): the CUDA half of the library target KERNELS as one module, which core/device.cpp
# opens when a CUDA device is first asked for; so programs start on machines without any CUDA. It lies beside the programs.
function(actgrad_cuda_module kernels)
  add_library(actgrad_cuda MODULE)
  set_target_properties(actgrad_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
    INSTALL_RPATH "$ORIGIN")
  target_include_directories(actgrad_cuda PRIVATE ${PROJECT_SOURCE_DIR})
  actgrad_cuda_sources(actgrad_cuda ${ARGN})
  if(NOT ACTGRAD_CUDA_EMULATED)
    target_link_libraries(actgrad_cuda PRIVATE ${ACTGRAD_CUSOLVER} ${ACTGRAD_CUBLAS})
    foreach(library CUBLAS CUSOLVER)
      if(ACTGRAD_OTHER_${library})
        # After all others: the folder may hold other headers of the toolkit too, of another version.
        target_compile_options(actgrad_cuda PRIVATE -Xcompiler=-idirafter,${ACTGRAD_OTHER_${library}_INCLUDE})
      endif()
    endforeach()
    if(ACTGRAD_CUDNN)
      target_include_directories(actgrad_cuda SYSTEM PRIVATE ${ACTGRAD_CUDNN_INCLUDE})
      target_link_libraries(actgrad_cuda PRIVATE ${ACTGRAD_CUDNN})
    endif()
  endif()
  if(ACTGRAD_CUDNN)
    target_compile_definitions(actgrad_cuda PRIVATE ACTGRAD_HAVE_CUDNN)
  endif()
  add_dependencies(${kernels} actgrad_cuda)
  # The module has no copy of core and kernels (there must be one allocator, one registry): it finds them in the program
  # that opens it. So the program holds all of both, needed by itself or not, and shows it.
  target_link_options(${kernels} INTERFACE -rdynamic
    "LINKER:--whole-archive,$<TARGET_FILE:$<TARGET_NAME:actgrad_core>>,$<TARGET_FILE:$<TARGET_NAME:${kernels}>>,--no-whole-archive")
  install(TARGETS actgrad_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  if(ACTGRAD_CUDA_EMULATED)
    install(TARGETS actgrad_cuda_emulator LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endfunction()

if(ACTGRAD_CUDA_EMULATED)
  add_subdirectory(test/cuda_emulator)
endif()
