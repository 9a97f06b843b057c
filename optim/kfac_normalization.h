// How published versions of KFAC normalise a convolution's factors. All agree for linear layers but for powers of the
// number of images, and give the damping another meaning.
#pragma once

namespace actgrad {

// a, g: rows of a batch of B images with S output positions each; g belongs to the mean loss.
enum class FactorNormalization {
  rows,       // A = Σaaᵀ/(BS),  G = Σggᵀ/(BS)           AdaAct's authors
  kfc,        // A = Σaaᵀ/(BS²), G = BS·Σggᵀ             alecwangcq's KFAC-Pytorch
  gpauloski,  // A = Σaaᵀ/(BS³), G = Σggᵀ/(BS³)          gpauloski's kfac-pytorch
  averaged,   // A = Σāāᵀ/B,     G = Σḡḡᵀ/B, ā and ḡ the means over an image's positions: lzhangbv's eva
  textbook,   // A = Σaaᵀ/B,     G = Σ(Bg)(Bg)ᵀ/(BS)     Grosse and Martens 2016
};

// What the means over all rows (or images) are multiplied by.
inline double scale_of_inputs(FactorNormalization normalization, double positions) {
  switch (normalization) {
    case FactorNormalization::kfc: return 1 / positions;
    case FactorNormalization::gpauloski: return 1 / (positions * positions);
    case FactorNormalization::textbook: return positions;
    default: return 1;
  }
}
inline double scale_of_output_gradients(FactorNormalization normalization, double positions, double images) {
  switch (normalization) {
    case FactorNormalization::kfc: return images * positions * images * positions;
    case FactorNormalization::gpauloski: return 1 / (positions * positions);
    case FactorNormalization::textbook: return images * images;
    default: return 1;
  }
}

}  // namespace actgrad
