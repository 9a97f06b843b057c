// The file formats of the usual small image data sets.
#pragma once

#include "data/dataset.h"

namespace actgrad {

// CIFAR's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records of `label_bytes` labels, of which the
// last counts (CIFAR-100: coarse, fine), and 3072 pixels: 32x32 red ones, row by row, then green, then blue. The files
// in `paths`, each of exactly `records` records, become one set of images (N, 32, 32, 3). Throws UserError naming the
// file: missing, truncated, too long, label not in [0, classes).
ImageSet read_cifar(const std::vector<std::string>& paths, std::int64_t records, int label_bytes, std::int64_t classes);

// MNIST's IDX files (http://yann.lecun.com/exdb/mnist/), compressed or not: `count` images (N, size, size, 1) and their
// labels. Throws UserError naming the file: missing, wrong magic number, another count or size, truncated, too long,
// label not in [0, classes).
ImageSet read_idx(const std::string& images_path, const std::string& labels_path, std::int64_t count, std::int64_t size,
                  std::int64_t classes);

}  // namespace actgrad
