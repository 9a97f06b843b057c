#include "core/safetensors.h"

#include "core/atomic_file.h"
#include "core/random.h"
#include "test/catch.h"
#include "test/core/mutation.h"
#include "test/core/temporary_folder.h"

using namespace actgrad;

namespace {

TensorFile sample() {
  TensorFile file;
  file.tensors = {{"weight", Tensor::from<float>({2, 3}, {1, -2, 3.5f, 0, 1e-30f, 6})},
                  {"count", Tensor::from<std::int32_t>({}, {-7})},
                  {"bytes", Tensor::from<std::uint8_t>({3}, {0, 255, 1})},
                  {"empty", Tensor::zeros({0, 4}, DType::float64)},
                  {"a \"name\" / with ünicode", Tensor::from<double>({1, 1, 1, 1, 2}, {1.0 / 3, -0.0})},
                  {"half", Tensor::from<bfloat16>({2}, {{0x3f80}, {0xff80}})}};
  file.metadata = {{"model", "lenet5"}, {"note", "\"crc32\":\"00000000\" is no checksum here"}};
  return file;
}

void check_equal(const TensorFile& a, const TensorFile& b) {
  CHECK(a.metadata == b.metadata);
  REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const Tensor &x = a.tensors[i].tensor, &y = b.tensors[i].tensor;
    CHECK(a.tensors[i].name == b.tensors[i].name);
    CHECK(x.shape() == y.shape());
    REQUIRE(x.dtype() == y.dtype());
    CHECK(std::memcmp(x.raw(), y.raw(), x.bytes()) == 0);
  }
}

// A file from its parts, in no way connected with the code under test.
std::string assemble(const std::string& header, const std::string& data) {
  std::string length(8, '\0');
  for (std::size_t i = 0, rest = header.size(); i < 8; ++i, rest >>= 8) length[i] = static_cast<char>(rest & 255);
  return length + header + data;
}

void check_refused(const std::string& bytes, const std::string& message) {
  CHECK_THROWS_AS(decode_tensor_file(bytes, "f"), UserError);
  CHECK_THROWS_WITH(decode_tensor_file(bytes, "f"), ContainsSubstring("f: ") && ContainsSubstring(message));
}

std::string saved(const TensorFile& file, bool checksum) {
  const TemporaryFolder folder;
  write_tensor_file(folder.file("x"), file, checksum);
  return read_file(folder.file("x"));
}

}  // namespace

TEST_CASE("a tensor file reads back as it was written") {
  const TemporaryFolder folder;
  const bool checksum = GENERATE(false, true);
  write_tensor_file(folder.file("x"), sample(), checksum);
  const TensorFile file = read_tensor_file(folder.file("x"), checksum);
  check_equal(file, sample());
  CHECK(folder.count() == 1);
  REQUIRE(file.find("count"));
  CHECK(file.find("count")->to_vector<std::int32_t>() == std::vector<std::int32_t>{-7});
  CHECK(file.find("nothing") == nullptr);
}

TEST_CASE("a file without tensors works") {
  check_equal(decode_tensor_file(saved({}, true), "f", true), {});
  CHECK(decode_tensor_file(assemble("{}", ""), "f").tensors.empty());
}

TEST_CASE("the format is the published one, byte for byte") {
  TensorFile file;
  file.tensors = {{"a", Tensor::from<float>({1, 2}, {1, 2})}, {"b", Tensor::from<std::uint8_t>({}, {9})}};
  file.metadata = {{"format", "pt"}};
  std::string header = R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  CHECK(saved(file, false) == assemble(header, std::string("\0\0\x80\x3f\0\0\0\x40\x09", 9)));
}

TEST_CASE("the checksum is the CRC-32 of the file with zeros in its place") {
  const std::string bytes = saved({}, true);
  const std::string header = R"({"__metadata__":{"crc32":"00000000"}})";
  // Computed with Python: zlib.crc32(struct.pack("<Q", 40) + header.ljust(40)).
  CHECK(bytes == assemble(std::string(header).replace(26, 8, "e583251b") + "   ", ""));
}

TEST_CASE("tensors of the header in any order come as they lie in the file") {
  const std::string header =
      R"({"late":{"data_offsets":[1,3],"dtype":"U8","shape":[2]}, "early":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const TensorFile file = decode_tensor_file(assemble(header, "abc"), "f");
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].name == "early");
  CHECK(file.tensors[1].tensor.to_vector<std::uint8_t>() == std::vector<std::uint8_t>{'b', 'c'});
}

TEST_CASE("PyTorch's batch counters are passed over, other int64 tensors refused") {
  const auto file = [](const std::string& name) {
    return assemble("{\"" + name +
                        R"(":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                        R"("x":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
                    "12345678x");
  };
  const TensorFile read = decode_tensor_file(file("bn1.num_batches_tracked"), "f");
  REQUIRE(read.tensors.size() == 1);
  CHECK(read.tensors[0].name == "x");
  check_refused(file("steps"), "tensor 'steps' has the dtype I64, which is not supported");
}

TEST_CASE("inconsistent files are refused, and the message says why") {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return "{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
  };
  const std::string good = one("F32", "[2]", "[0,8]"), data = "12345678";
  CHECK(decode_tensor_file(assemble(good, data), "f").tensors.size() == 1);

  check_refused("", "truncated");
  check_refused("1234567", "truncated");
  check_refused(assemble(good, data).substr(0, 30), "truncated");
  check_refused(assemble(good, data).substr(0, good.size() + 12), "outside of the file");
  check_refused(assemble(good, data + "9"), "1 bytes behind the last tensor belong to none");
  check_refused(std::string(8, '\xff'), "not a safetensors file");
  check_refused(assemble("", data), "not a safetensors file");
  check_refused(assemble("[1]", ""), "not a safetensors file");
  check_refused(assemble("{\"x\":", ""), "not JSON");
  check_refused(assemble("{} {}", ""), "not JSON");
  check_refused(assemble("{\"\xff\":1}", ""), "not JSON");
  check_refused(assemble("{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}", ""), "too deeply");
  check_refused(assemble("{\"x\":3}", ""), "lacks dtype");
  check_refused(assemble(R"({"x":{"dtype":"U8","shape":[]}})", ""), "lacks dtype");
  check_refused(assemble(R"({"x":{"dtype":1,"shape":[],"data_offsets":[0,1]}})", "a"), "lacks dtype");
  check_refused(assemble(R"({"__metadata__":3})", ""), "__metadata__ is not an object");
  check_refused(assemble(R"({"__metadata__":{"a":1}})", ""), "'a' is not text");
  check_refused(assemble(R"({"__metadata__":{"crc32":"1"}})", ""), "malformed checksum");
  check_refused(assemble(R"({"__metadata__":{"crc32" :"00000000"}})", ""), "malformed checksum");
  const std::string x = R"("x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  check_refused(assemble("{" + x + "," + x + "}", "a"), "'x' occurs twice");

  check_refused(assemble(one("F16", "[4]", "[0,8]"), data), "dtype F16");
  check_refused(assemble(one("F32", "[3]", "[0,8]"), data), "do not fit its shape");
  check_refused(assemble(one("F32", "[-2]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[2.0]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[\"2\"]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[1,1,1,1,1,2]", "[0,8]"), data), "6 dimensions");
  check_refused(assemble(one("F32", "[4294967296,4294967296]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[4611686018427387906]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[18446744073709551615]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[36893488147419103232]", "[0,8]"), data), "impossible shape");
  check_refused(assemble(one("F32", "[2]", "[0,9]"), data), "outside of the file");
  check_refused(assemble(one("F32", "[2]", "[8,0]"), data), "do not fit its shape");
  check_refused(assemble(one("F32", "[2]", "[0,8,9]"), data), "lacks dtype");
  check_refused(assemble(one("F32", "[1]", "[4,8]"), data), "leaves a hole");
  check_refused(assemble(one("F32", "[1]", "[0,4]"), data), "4 bytes behind");
  check_refused(assemble(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                         R"("y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                         "abc"),
                "overlaps");
}

TEST_CASE("a missing file is named") {
  CHECK_THROWS_WITH(read_tensor_file("/nowhere/x"), "cannot read /nowhere/x: No such file or directory");
}

TEST_CASE("a checkpoint must have a checksum") {
  const std::string bytes = saved(sample(), false);
  CHECK_NOTHROW(decode_tensor_file(bytes, "f"));
  CHECK_THROWS_WITH(decode_tensor_file(bytes, "f", true), ContainsSubstring("no checksum"));
}

TEST_CASE("every flipped bit and every truncation of a checkpoint is found") {
  const std::string good = saved(sample(), true);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    INFO("bit " << bit);
    REQUIRE_THROWS_AS(decode_tensor_file(bad, "f", true), UserError);
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    REQUIRE_THROWS_AS(decode_tensor_file(good.substr(0, size), "f", true), UserError);
  for (const char extra : {'\0', ' ', '}'}) REQUIRE_THROWS_AS(decode_tensor_file(good + extra, "f", true), UserError);
}

TEST_CASE("damaged tensor files are read or refused, never worse") {
  const std::string good = saved(sample(), false), checkpoint = saved(sample(), true);
  Random random(5, Purpose::test);
  int read = 0, refused = 0;
  for (int i = 0; i < 6000; ++i) {
    try {
      decode_tensor_file(mutated(i % 4 ? good : checkpoint, random), "f");
      ++read;
    } catch (const UserError&) {
      ++refused;
    }
  }
  CHECK(read > 0);
  CHECK(refused > 4000);
}

TEST_CASE("what cannot be written is a mistake of the caller") {
  const TemporaryFolder folder;
  const Tensor tensor = Tensor::zeros({1}, DType::float32);
  CHECK_THROWS_AS(write_tensor_file(folder.file("x"), {{{"a", tensor}, {"a", tensor}}, {}}), InternalError);
  CHECK_THROWS_AS(write_tensor_file(folder.file("x"), {{{"__metadata__", tensor}}, {}}), InternalError);
  CHECK_THROWS_AS(write_tensor_file(folder.file("x"), {{}, {{"crc32", "00000000"}}}), InternalError);
  CHECK(folder.count() == 0);
  CHECK_THROWS_AS(write_tensor_file(folder.file("no/x"), {}), UserError);
}

TEST_CASE("text that is no UTF-8 does not keep a file from being written") {
  const TensorFile file = decode_tensor_file(saved({{}, {{"path", "/tmp/\xff"}}}, true), "f", true);
  CHECK(file.metadata.at("path") == "/tmp/\xef\xbf\xbd");
}
