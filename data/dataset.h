// Data sets of labelled images, held as bytes.
#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"

namespace actgrad {

struct ImageSet {
  Tensor images;  // (N, H, W, C) uint8
  Tensor labels;  // (N) int32, each in [0, classes)
  std::int64_t size() const { return images ? images.dim(0) : 0; }
};

struct Dataset {
  std::string name;  // "cifar10"
  std::int64_t classes = 0;
  std::vector<double> mean, std;  // per channel, of pixels scaled to [0, 1]
  std::vector<std::string> class_names;
  ImageSet train, test;
  bool augment = false;  // whether crop and flip are part of the data set's usual recipe
};

// cifar10, cifar100, fashion-mnist, mnist, synthetic.
std::vector<std::string> dataset_names();
std::string dataset_help(const std::string& name);  // one line
bool dataset_augmented(const std::string& name);    // Dataset::augment, known without reading the files

// Whether the data set's files lie in `directory` (synthetic: always).
bool dataset_available(const std::string& name, const std::string& directory);

// Reads the data set. Files are looked for in `directory` and in its usual subfolder (cifar-10-batches-bin,
// cifar-100-binary, fashion-mnist, mnist). Throws UserError: unknown name, missing (naming what was looked for and
// scripts/get_data), truncated, oversized or wrong-magic file, label out of range.
Dataset load_dataset(const std::string& name, const std::string& directory);

// The first `count` images (0 or more than there are: all).
ImageSet first_images(const ImageSet& set, std::int64_t count);

// Ten classes of textured shapes, 32x32x3, made from a seed; needs no file. Not linearly separable to speak of.
Dataset synthetic_dataset(std::int64_t train_size = 10000, std::int64_t test_size = 2000);

}  // namespace actgrad
