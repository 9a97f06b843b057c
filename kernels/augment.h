// From stored bytes to network input: gather, crop, flip, normalise in one pass.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace actgrad::kernels {

struct Augmentation {
  bool enabled = false;
  std::int64_t padding =
      4;  // zero pixels on each side before the random crop back to the original size; flip with p = 0.5
  std::uint64_t seed = 0;
  // Stream of Purpose::augment. Image number i of the data set draws block i: word 0 gives the vertical offset in {0,
  // …, 2·padding} (⌊word · (2·padding + 1) / 2³²⌋), word 1 the horizontal one, the top bit of word 2 the flip, which
  // follows the crop.
  std::uint64_t epoch = 0;
};

// images (N, H, W, C) uint8, indices: which image becomes which row of y (count, H, W, C) float32 or float64; they lie
// where images and y lie, so on a CUDA device they are a device pointer (of an int32 tensor, say):
//   y = (pixel/255 − mean[c]) / std[c], computed in double and rounded once
// Padding happens on raw pixels (algorithms: "pad 4 with zeros on raw pixels, before normalisation"), so a padded pixel
// is −mean/std. Random draws depend on (seed, epoch, image number) alone, never on batch size or order. On the
// CPU it uses the calling thread only: the loader's worker runs it beside the training step.
void gather_images(const Tensor& images, const std::int32_t* indices, std::int64_t count,
                   const std::vector<double>& mean, const std::vector<double>& std, const Augmentation& augmentation,
                   Tensor& y);

}  // namespace actgrad::kernels
