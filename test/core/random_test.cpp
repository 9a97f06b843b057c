#include "core/random.h"

#include <set>

#include "test/catch.h"

using namespace actgrad;

TEST_CASE("philox gives the published known answers") {
  using Words = std::array<std::uint32_t, 4>;
  const std::uint32_t ff = 0xffffffffu;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({ff, ff, ff, ff}, {ff, ff}) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("the sequence is the blocks one after another") {
  Random sequence(7, Purpose::test, 3);
  const Random blocks(7, Purpose::test, 3);
  for (std::uint64_t position = 0; position < 5; ++position)
    for (const std::uint32_t word : blocks.block(position)) CHECK(sequence.next() == word);
}

TEST_CASE("seed, purpose, stream and position all matter, high bits too") {
  const std::uint64_t high = std::uint64_t{1} << 32;
  std::set<std::array<std::uint32_t, 4>> seen;
  std::size_t drawn = 0;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, high})
    for (const Purpose purpose : {Purpose::init, Purpose::shuffle, Purpose::augment, Purpose::dropout})
      for (const std::uint64_t stream : {std::uint64_t{0}, std::uint64_t{1}, high, high << 15})
        for (const std::uint64_t position : {std::uint64_t{0}, std::uint64_t{1}, high}) {
          seen.insert(Random(seed, purpose, stream).block(position));
          ++drawn;
        }
  CHECK(seen.size() == drawn);
}

TEST_CASE("uniform numbers have the moments of the uniform distribution") {
  const int count = 200000;
  Random random(1, Purpose::test);
  double sum = 0, squares = 0, low = 1, high = 0;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform();
    sum += u;
    squares += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  const double mean = sum / count;
  // Four standard errors: sqrt(1/12/n), and sqrt(1/180/n) for the variance.
  CHECK(mean == Approx(0.5).margin(4 * std::sqrt(1.0 / 12 / count)));
  CHECK(squares / count - mean * mean == Approx(1.0 / 12).margin(4 * std::sqrt(1.0 / 180 / count)));
  CHECK(low >= 0);
  CHECK(low < 1e-4);
  CHECK(high < 1);
  CHECK(high > 1 - 1e-4);

  const double shifted = random.uniform(-3, -2);
  CHECK(shifted >= -3);
  CHECK(shifted < -2);
}

TEST_CASE("normal numbers have the moments of the standard normal distribution") {
  const int count = 200000;
  Random random(2, Purpose::test);
  double moment[5] = {};
  double neighbours = 0, previous = 0;
  for (int i = 0; i < count; ++i) {
    const double z = random.normal();
    double power = 1;
    for (double& sum : moment) {
      sum += power / count;
      power *= z;
    }
    neighbours += z * previous / count;
    previous = z;
  }
  // Four standard errors: the variance of z^k is E z^2k - (E z^k)^2 = 1, 2, 15, 96.
  const double unit = 4 / std::sqrt(static_cast<double>(count));
  CHECK(moment[1] == Approx(0).margin(unit));
  CHECK(moment[2] == Approx(1).margin(unit * std::sqrt(2.0)));
  CHECK(moment[3] == Approx(0).margin(unit * std::sqrt(15.0)));
  CHECK(moment[4] == Approx(3).margin(unit * std::sqrt(96.0)));
  CHECK(neighbours == Approx(0).margin(unit));
}

TEST_CASE("below(n) covers 0 to n-1 evenly") {
  Random random(3, Purpose::test);
  std::array<int, 7> counts{};
  const int count = 70000;
  for (int i = 0; i < count; ++i) ++counts.at(random.below(7));
  for (const int seen : counts) CHECK(seen == Approx(count / 7).margin(4 * std::sqrt(count / 7.0)));
  CHECK(random.below(1) == 0);
}
