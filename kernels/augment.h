// From stored bytes to network input: gather, crop, flip, normalise in one pass.
#pragma once

#include <vector>

#include "core/step_value.h"

namespace actgrad::kernels {

struct Augmentation {
  bool enabled = false;
  std::int64_t padding =
      4;  // zero pixels on each side before the random crop back to the original size; flip with p = 0.5
  std::uint64_t seed = 0;
};

// Where in the data a training step stands: it takes the images from place `first` of the epoch's order on.
struct DataPosition {
  std::int64_t first = 0;
  // Stream of Purpose::augment. Image number i of the data set draws block i: word 0 gives the vertical offset in {0,
  // …, 2·padding} (⌊word · (2·padding + 1) / 2³²⌋), word 1 the horizontal one, the top bit of word 2 the flip, which
  // follows the crop.
  std::uint64_t epoch = 0;
};

// What becomes of each byte of each channel: (C, 256) of the dtype, (pixel/255 − mean[c]) / std[c] computed in double
// and rounded once.
Tensor normalisation_table(const std::vector<double>& mean, const std::vector<double>& std, DType dtype);

// images (N, H, W, C) uint8; order: int32 numbers of images. Row i of y (count, H, W, C), which has the dtype of the
// table, is image order[position.first + offset + i].
// Padding happens on raw pixels (algorithms: "pad 4 with zeros on raw pixels, before normalisation"), so a padded pixel
// is −mean/std. Random draws depend on (seed, epoch, image number) alone, never on batch size or order. On the CPU it
// uses the calling thread only: the loader's worker runs it beside the training step.
void gather_images(const Tensor& images, const Tensor& order, const StepValue<DataPosition>& position,
                   std::int64_t offset, const Tensor& table, const Augmentation& augmentation, Tensor& y);
// The labels of the same images: labels (N), y (count), int32.
void gather_labels(const Tensor& labels, const Tensor& order, const StepValue<DataPosition>& position,
                   std::int64_t offset, Tensor& y);

}  // namespace actgrad::kernels
