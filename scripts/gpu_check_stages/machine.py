"""What gpu_check knows of the machine: its GPU, compilers and libraries."""

import ctypes
import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def output_of(*command, **settings):
    """What a command prints, or None if it cannot be run or fails."""
    try:
        result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, **settings)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def find_gpu():
    """{"gpu", "driver", "compute_capability", "memory"} of the first GPU, or None."""
    fields = "name,driver_version,compute_cap,memory.total"
    line = output_of("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader")
    if line:
        parts = [part.strip() for part in line.splitlines()[0].split(",")]
        if len(parts) == 4 and re.fullmatch(r"\d+\.\d+", parts[2]):
            return dict(zip(("gpu", "driver", "compute_capability", "memory"), parts))
    return find_gpu_by_driver()


def find_gpu_by_driver():
    """The same from the driver's library, for machines without nvidia-smi."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, device, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(200)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return None
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
    version = Path("/proc/driver/nvidia/version")
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", version.read_text()) if version.is_file() else None
    return {"gpu": name.value.decode(), "driver": found.group() if found else "unknown",
            "compute_capability": f"{major.value}.{minor.value}", "memory": ""}


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def commit():
    return output_of("git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10") or "unknown"


def cuda_folders(given):
    """Folders with lib/ (and include/) of CUDA libraries: those given, then python's nvidia/*. A folder of such folders
    stands for all of them."""
    parents = [Path(folder) / "nvidia" for folder in [*site.getsitepackages(), site.getusersitepackages(), *sys.path]]
    spec = importlib.util.find_spec("nvidia")
    parents += map(Path, (spec.submodule_search_locations or []) if spec else [])
    folders = []
    for folder in [*given, *parents]:
        for candidate in (folder, *sorted(folder.glob("*"))):
            if any((candidate / "lib").glob("lib*.so*")) and candidate.resolve() not in folders:
                folders.append(candidate.resolve())
    return folders


def find_nvcc(folders):
    candidates = [shutil.which("nvcc"), *(Path(os.environ[name]) / "bin/nvcc" for name in ("CUDA_PATH", "CUDA_HOME")
                                          if name in os.environ), Path("/usr/local/cuda/bin/nvcc"),
                  *(folder / "bin/nvcc" for folder in folders)]
    return next((Path(path) for path in candidates if path and Path(path).is_file()), None)


def library_version(path, query):
    """What a library says of itself, when it can be loaded."""
    try:
        return query(ctypes.CDLL(str(path)))
    except (OSError, AttributeError):
        return "unknown"


def cublas_version(library):
    parts = []
    for which in range(3):  # MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL
        value = ctypes.c_int()
        library.cublasGetProperty(which, ctypes.byref(value))
        parts.append(str(value.value))
    return ".".join(parts)


def cudnn_version(library):
    library.cudnnGetVersion.restype = ctypes.c_size_t
    version = library.cudnnGetVersion()
    return f"{version // 10000}.{version // 100 % 100}.{version % 100}"


def library_folders(deps):
    return sorted((deps / "usr/lib").glob("*-linux-gnu"))


def cmake_cache(build):
    file = build / "CMakeCache.txt"
    return dict(re.findall(r"^(\w+):\w+=(.*)$", file.read_text(), re.M)) if file.is_file() else {}


def linked_libraries(build):
    """{"cublas", "cusolver", "cudnn"}: those that the build is linked with, where they are known."""
    cache, found = cmake_cache(build), {}
    for library, names in (("cublas", ("ACTGRAD_OTHER_CUBLAS", "CUDA_cublas_LIBRARY")),
                           ("cusolver", ("ACTGRAD_OTHER_CUSOLVER", "CUDA_cusolver_LIBRARY")),
                           ("cudnn", ("ACTGRAD_CUDNN",))):
        for name in names:
            path = Path(cache.get(name) or "-")
            if library not in found and path.is_file():
                found[library] = path
    return found


def library_versions(build):
    """{"cuda", "cublas", "cudnn"}: the compiler's version, and those of the libraries that the build is linked with."""
    nvcc, linked = cmake_cache(build).get("ACTGRAD_NVCC", ""), linked_libraries(build)
    release = re.search(r"release [\d.]+, V([\d.]+)", output_of(nvcc, "--version") or "") if nvcc else None
    versions = {"cuda": release.group(1) if release else "unknown", "cublas": "unknown", "cudnn": "none"}
    if "cublas" in linked:
        versions["cublas"] = library_version(linked["cublas"], cublas_version)
    if "cudnn" in linked:
        versions["cudnn"] = library_version(linked["cudnn"], cudnn_version)
    return versions
