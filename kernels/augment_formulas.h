// What is drawn per image, shared by every device's gather_images.
#pragma once

#include "core/random.h"
#include "kernels/augment.h"
#include "kernels/formulas.h"

namespace actgrad::kernels::formulas {

// Where the crop's top left corner lies in the image (outside of it: in the padding), and whether the crop is mirrored.
struct Placement {
  std::int64_t top = 0, left = 0;
  bool flip = false;
};

// Image number i draws block i of its epoch's stream: word 0 the vertical offset in {0, …, 2·padding} (multiply-shift),
// word 1 the horizontal one, the top bit of word 2 the flip.
ACTGRAD_HOST_DEVICE inline Placement draw_placement(const Augmentation& a, std::uint64_t epoch, std::int32_t image) {
  if (!a.enabled) return {};
  const auto words = Random(a.seed, Purpose::augment, epoch).block(static_cast<std::uint64_t>(image));
  const auto choices = static_cast<std::uint64_t>(2 * a.padding + 1);
  const auto offset = [&](std::uint32_t word) { return static_cast<std::int64_t>(word * choices >> 32) - a.padding; };
  return {offset(words[0]), offset(words[1]), (words[2] >> 31) != 0};
}

}  // namespace actgrad::kernels::formulas
