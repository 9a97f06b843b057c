// The format: https://github.com/huggingface/safetensors#format
//   8 bytes      N, the length of the header, little-endian
//   N bytes      JSON: {"__metadata__": {key: text, …}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0,
//   24]}, …} the rest     the tensors' bytes, little-endian; offsets count from here, and the tensors cover it without
//   holes
#include "core/safetensors.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "core/atomic_file.h"

namespace actgrad {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie in memory");
using Json = nlohmann::ordered_json;

constexpr std::size_t header_limit = 100'000'000;  // as in the format's reference implementation
constexpr int depth_limit = 3;                     // {name: {"shape": [number]}}
const char* const metadata_key = "__metadata__";
const char* const checksum_key = "crc32";
// The checksum as it stands in the header while it is computed. Quotes inside a JSON string are escaped, so the first
// part can be nothing but the key.
constexpr std::string_view checksum_prefix = "\"crc32\":\"";
constexpr std::string_view checksum_blank = "00000000";

struct FileType {
  const char* name;
  DType dtype;
};
constexpr FileType file_types[] = {{"F32", DType::float32},
                                   {"F64", DType::float64},
                                   {"BF16", DType::bfloat16},
                                   {"U8", DType::uint8},
                                   {"I32", DType::int32}};

const char* file_type_of(DType dtype) {
  for (const FileType& type : file_types)
    if (type.dtype == dtype) return type.name;
  ACTGRAD_CHECK(false, "dtype");
}

// Where a tensor lies in the file, as the header says. `dtype` is empty for those that are passed over.
struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::vector<std::int64_t> dims;
  std::size_t begin = 0, end = 0;
};

// PyTorch's BatchNorm counts its batches in an int64 scalar, which nothing here needs.
bool is_passed_over(const std::string& name, const std::string& type) {
  const std::string_view suffix = "num_batches_tracked";
  return type == "I64" && name.size() >= suffix.size() &&
         name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

std::string hexadecimal(std::uint32_t value) {
  std::string text(8, '0');
  for (int i = 7; i >= 0; --i, value >>= 4) text[static_cast<std::size_t>(i)] = "0123456789abcdef"[value & 15];
  return text;
}

std::uint32_t crc(std::uint32_t start, std::string_view bytes) {
  return static_cast<std::uint32_t>(crc32_z(start, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string_view bytes_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.raw()), tensor.bytes()};
}

// Length and JSON, padded with spaces to a multiple of 8 bytes.
std::string encode_header(const TensorFile& file, bool checksum) {
  Json header = Json::object();
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata) {
    ACTGRAD_CHECK(key != checksum_key, "the metadata entry crc32 is the checksum's");
    metadata[key] = value;
  }
  if (checksum) metadata[checksum_key] = checksum_blank;
  if (!metadata.empty()) header[metadata_key] = metadata;

  std::size_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    ACTGRAD_CHECK(name != metadata_key && !header.contains(name), "two tensors are called '" + name + "'");
    std::vector<std::int64_t> dims;
    for (int i = 0; i < tensor.rank(); ++i) dims.push_back(tensor.dim(i));
    header[name] = {
        {"dtype", file_type_of(tensor.dtype())}, {"shape", dims}, {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }

  // Text that is no UTF-8 (a path, say) must not keep a checkpoint from being written.
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

// One reading of a file. Every number in it is taken for wrong until it is checked.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& origin) : bytes_(bytes), origin_(origin) {}

  TensorFile read(bool require_checksum) {
    const Json header = parse_header();
    TensorFile file;
    if (header.contains(metadata_key)) file.metadata = metadata_of(header[metadata_key]);
    check_checksum(file.metadata, require_checksum);

    std::vector<Entry> entries;
    for (const auto& [name, description] : header.items())
      if (name != metadata_key) entries.push_back(entry_of(name, description));
    check_cover(entries);
    for (const Entry& entry : entries) {
      if (!entry.dtype) continue;
      Tensor tensor = Tensor::empty(Shape(entry.dims), *entry.dtype);
      std::copy_n(data_.data() + entry.begin, entry.end - entry.begin, static_cast<char*>(tensor.raw()));
      file.tensors.push_back({entry.name, tensor});
    }
    return file;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw UserError(origin_ + ": " + message); }

  Json parse_header() {
    std::uint64_t length = 0;
    if (bytes_.size() < sizeof length) fail("truncated: " + std::to_string(bytes_.size()) + " bytes hold no header");
    std::memcpy(&length, bytes_.data(), sizeof length);
    if (length > header_limit) fail("not a safetensors file: a header of " + std::to_string(length) + " bytes");
    if (length > bytes_.size() - sizeof length)
      fail("truncated: a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(bytes_.size()));
    header_ = bytes_.substr(sizeof length, length);
    data_ = bytes_.substr(sizeof length + length);
    if (header_.empty() || header_[0] != '{') fail("not a safetensors file: its header does not start with '{'");

    std::set<std::string> names;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
      if (depth > depth_limit) fail("malformed header: nested too deeply");
      if (event == Json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second)
        fail("malformed header: '" + parsed.get<std::string>() + "' occurs twice");
      return true;
    };
    try {
      return Json::parse(header_, watch);
    } catch (const Json::exception&) {
      fail("malformed header: not JSON");
    }
  }

  std::map<std::string, std::string> metadata_of(const Json& description) const {
    if (!description.is_object()) fail("malformed header: __metadata__ is not an object");
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : description.items()) {
      if (!value.is_string()) fail("malformed header: metadata entry '" + key + "' is not text");
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

  // Compares the checksum with that of the file, and takes it out of the metadata.
  void check_checksum(std::map<std::string, std::string>& metadata, bool required) const {
    const auto entry = metadata.find(checksum_key);
    if (entry == metadata.end()) {
      if (required) fail("no checksum: damaged, or not a checkpoint");
      return;
    }
    const std::size_t found = header_.find(checksum_prefix);
    if (found == std::string_view::npos || entry->second.size() != checksum_blank.size()) fail("malformed checksum");
    const std::size_t digits = sizeof(std::uint64_t) + found + checksum_prefix.size();
    std::uint32_t sum = crc(0, bytes_.substr(0, digits));
    sum = crc(sum, checksum_blank);
    sum = crc(sum, bytes_.substr(std::min(bytes_.size(), digits + checksum_blank.size())));
    if (entry->second != hexadecimal(sum)) fail("wrong checksum: the file is damaged");
    metadata.erase(entry);
  }

  // A whole number from the header, at most `limit`.
  std::uint64_t number(const Json& value, std::uint64_t limit, const std::string& where) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit) fail("malformed header: " + where);
    return value.get<std::uint64_t>();
  }

  Entry entry_of(const std::string& name, const Json& description) const {
    const std::string where = "tensor '" + name + "'";
    if (!description.is_object() || !description.contains("dtype") || !description["dtype"].is_string() ||
        !description.contains("shape") || !description["shape"].is_array() || !description.contains("data_offsets") ||
        !description["data_offsets"].is_array() || description["data_offsets"].size() != 2)
      fail("malformed header: " + where + " lacks dtype, shape or data_offsets");
    Entry entry;
    entry.name = name;

    const std::string type = description["dtype"].get<std::string>();
    std::size_t expected = 0;
    for (const FileType& known : file_types)
      if (type == known.name) entry.dtype = known.dtype;
    if (entry.dtype)
      expected = size_of(*entry.dtype);
    else if (is_passed_over(name, type))
      expected = sizeof(std::int64_t);
    else
      fail(where + " has the dtype " + type + ", which is not supported (known: F32, F64, BF16, U8, I32)");

    if (description["shape"].size() > Shape::max_rank)
      fail(where + " has " + std::to_string(description["shape"].size()) + " dimensions; at most " +
           std::to_string(Shape::max_rank) + " are supported");
    for (const Json& dim : description["shape"]) {
      entry.dims.push_back(static_cast<std::int64_t>(
          number(dim, std::numeric_limits<std::int64_t>::max(), where + " has an impossible shape")));
      if (__builtin_mul_overflow(expected, static_cast<std::size_t>(entry.dims.back()), &expected))
        fail("malformed header: " + where + " has an impossible shape");
    }

    entry.begin = number(description["data_offsets"][0], data_.size(), where + " lies outside of the file");
    entry.end = number(description["data_offsets"][1], data_.size(), where + " lies outside of the file");
    if (entry.end < entry.begin || entry.end - entry.begin != expected)
      fail("malformed header: " + where + " has data_offsets that do not fit its shape");
    return entry;
  }

  // Sorts the tensors as they lie in the file; they must neither overlap nor leave holes.
  void check_cover(std::vector<Entry>& entries) const {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::size_t covered = 0;
    for (const Entry& entry : entries) {
      if (entry.begin != covered)
        fail("malformed header: tensor '" + entry.name + "' overlaps another one or leaves a hole");
      covered = entry.end;
    }
    if (covered != data_.size())
      fail(std::to_string(data_.size() - covered) + " bytes behind the last tensor belong to none");
  }

  std::string_view bytes_;
  std::string origin_;
  std::string_view header_, data_;
};

}  // namespace

const Tensor* TensorFile::find(const std::string& name) const {
  for (const NamedTensor& entry : tensors)
    if (entry.name == name) return &entry.tensor;
  return nullptr;
}

void write_tensor_file(const std::string& path, const TensorFile& file, bool checksum) {
  TensorFile local{{}, file.metadata};
  for (const NamedTensor& entry : file.tensors) local.tensors.push_back({entry.name, entry.tensor.to(Device{})});

  std::string header = encode_header(local, checksum);
  if (checksum) {
    std::uint32_t sum = crc(0, header);
    for (const NamedTensor& entry : local.tensors) sum = crc(sum, bytes_of(entry.tensor));
    header.replace(header.find(checksum_prefix) + checksum_prefix.size(), checksum_blank.size(), hexadecimal(sum));
  }
  AtomicFile output(path);
  output.write(header.data(), header.size());
  for (const NamedTensor& entry : local.tensors) output.write(entry.tensor.raw(), entry.tensor.bytes());
  output.commit();
}

TensorFile decode_tensor_file(const std::string& bytes, const std::string& origin, bool require_checksum) {
  return Reader(bytes, origin).read(require_checksum);
}

TensorFile read_tensor_file(const std::string& path, bool require_checksum) {
  return decode_tensor_file(read_file(path), path, require_checksum);
}

}  // namespace actgrad
