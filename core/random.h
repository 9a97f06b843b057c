// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). A number is a pure function of (seed, purpose, stream, position), so the CPU and a GPU draw the
// same ones in any order, and a run resumes bit for bit by remembering positions alone.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace actgrad {

// One Philox 4x32-10 block: four random words from a 128-bit counter and a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u;  // Weyl sequence: golden ratio
    key[1] += 0xBB67AE85u;  // and √3 − 1
  }
  return counter;
}

// What random numbers are used for: each purpose has streams of its own, so that one never disturbs another.
enum class Purpose : std::uint32_t {
  init = 1,
  shuffle = 2,
  augment = 3,
  dropout = 4,
  synthetic = 5,
  test = 6,
  labels = 7,
  scaling = 8
};

// The stream `stream` (a parameter's index, an epoch, …; below 2^48) of one purpose.
class Random {
 public:
  constexpr Random(std::uint64_t seed, Purpose purpose, std::uint64_t stream = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        purpose_(static_cast<std::uint32_t>(purpose) << 16 | static_cast<std::uint32_t>(stream >> 32 & 0xFFFF)),
        stream_(static_cast<std::uint32_t>(stream)) {}

  // The four words number `position` of this stream: random access.
  constexpr std::array<std::uint32_t, 4> block(std::uint64_t position) const {
    return philox({static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), stream_, purpose_},
                  key_);
  }

  // The next word, in sequence.
  std::uint32_t next() {
    if (used_ == 4) {
      words_ = block(position_++);
      used_ = 0;
    }
    return words_[used_++];
  }
  // Uniform in [0, 1): 24 bits in float, 53 bits in double. Both draw two words, so that the precision of a run
  // does not shift the stream.
  double uniform() {
    const std::uint64_t high = next(), low = next();
    return to_uniform(high, low);
  }
  // The same from the first two words number `position`: random access.
  constexpr double uniform_at(std::uint64_t position) const {
    const std::array<std::uint32_t, 4> words = block(position);
    return to_uniform(words[0], words[1]);
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Standard normal (Box–Muller; one number per call, four words).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586476925286766559 * uniform());
  }
  // Uniform in {0, …, bound-1}, bound <= 2^32 (multiply-shift; bias below bound/2^64).
  std::uint32_t below(std::uint32_t bound) {
    const std::uint64_t high = next(), low = next();
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint32_t>((static_cast<Wide>(high << 32 | low) * bound) >> 64);
  }

 private:
  static constexpr double to_uniform(std::uint64_t high, std::uint64_t low) {
    return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
  }

  std::array<std::uint32_t, 2> key_;
  std::uint32_t purpose_;
  std::uint32_t stream_;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> words_{};
  unsigned used_ = 4;
};

}  // namespace actgrad
