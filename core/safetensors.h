// Files of named tensors in the safetensors format (8-byte header length, JSON header, raw little-endian data), which
// Python's safetensors package reads. Checkpoints are such files too, with a checksum.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace actgrad {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

struct TensorFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;

  // nullptr when absent.
  const Tensor* find(const std::string& name) const;
};

// Writes atomically (see atomic_file.h): either the whole file appears under `path`, or the old one stays.
// With `checksum`, the metadata entry "crc32" protects every byte of the file: eight hexadecimal digits, the CRC-32 of
// the file with zeros in their place. Throws UserError when the file cannot be written (no permission, disk full).
void write_tensor_file(const std::string& path, const TensorFile& file, bool checksum = false);

// Tensors come in the order in which they lie in the file; the checksum is checked and taken out of the metadata. int64
// scalars called "…num_batches_tracked" (PyTorch's BatchNorm) are passed over. Throws UserError naming the file and
// what is wrong: missing, truncated, trailing bytes, malformed or inconsistent header, unknown dtype, more than 5
// dimensions, wrong checksum. With `require_checksum`, a file without one is refused.
TensorFile read_tensor_file(const std::string& path, bool require_checksum = false);

// The same from a file's bytes; `origin` names them in messages.
TensorFile decode_tensor_file(const std::string& bytes, const std::string& origin, bool require_checksum = false);

}  // namespace actgrad
