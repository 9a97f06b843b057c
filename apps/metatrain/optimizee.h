// What a learned optimizer is trained on: a small network and its data, made harder and more varied by two tricks.
#pragma once

#include "data/loader.h"
#include "layers/model.h"
#include "optim/hyperadam/unroll.h"

namespace actgrad {

struct OptimizeeOptions {
  std::int64_t batch_size = 128;
  bool random_scaling = true;      // RS
  bool convex_combination = true;  // CC
  std::uint64_t seed = 0;
};

// The network's parameters θ, and 20 coordinates z of a convex function beside them, as one vector w:
//   θ = w·c, c = exp(U(−3, 3)) per coordinate                               random scaling
//   loss = network's loss + mean clip((z·c − a)², 0, 10), a ~ U(−1, 1)      convex combination; there c = exp(U(−1, 1))
// so that coordinates of all sizes and curvatures occur ("Learning gradient descent", Lv, Jiang and Li 2017).
class Optimizee {
 public:
  // `networks`: at least one; all with parameters of the same shapes. `data`: pixels become numbers in [0, 1]. Both
  // must outlive this. On the CPU, float32.
  Optimizee(const std::vector<std::unique_ptr<Model>>& networks, const ImageSet& data, const OptimizeeOptions& options);

  // A fresh start, of the network whose turn it is, drawn from (seed, `number`): θ ~ N(0, 0.1²), biases too; z = 0; new
  // c and a. Batches come from number `first_batch` on, of an endless sequence of epochs.
  Tensor start(std::uint64_t number, std::int64_t first_batch);
  // The loss at w on the next batch, and its gradient.
  double operator()(const Tensor& w, Tensor& g);
  // The network's mean loss at w over `batches` batches from `first_batch` on.
  double mean_loss(const Tensor& w, std::int64_t first_batch, std::int64_t batches);

  std::int64_t batches_per_epoch() const { return batches_per_epoch_; }

 private:
  void place(std::int64_t batch);
  void next_batch(Batch& batch);
  void write_parameters(const Tensor& w);
  double add_convex(const float* z, float* g) const;

  const std::vector<std::unique_ptr<Model>>& networks_;
  OptimizeeOptions options_;
  Loader loader_;
  std::int64_t batches_per_epoch_, position_ = 0;
  std::int64_t parameters_ = 0, convex_ = 0;  // coordinates of each part
  Model* network_ = nullptr;                  // of the last start
  std::vector<float> scale_, target_;         // c; a
};

}  // namespace actgrad
