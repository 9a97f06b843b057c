#include "apps/metatrain/optimizee.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "layers/functions/cross_entropy.h"

namespace actgrad {
namespace {

constexpr std::int64_t convex_coordinates = 20;
constexpr double network_range = 3, convex_range = 1;  // of log c
constexpr double largest_square = 10;

}  // namespace

Optimizee::Optimizee(const std::vector<std::unique_ptr<Model>>& networks, const ImageSet& data,
                     const OptimizeeOptions& options)
    : networks_(networks),
      options_(options),
      loader_(data, std::vector<double>(static_cast<std::size_t>(data.images.dim(3)), 0.0),
              std::vector<double>(static_cast<std::size_t>(data.images.dim(3)), 1.0),
              {.batch_size = options.batch_size, .seed = options.seed, .prefetch = false}),
      batches_per_epoch_(data.size() / options.batch_size),  // a last, smaller batch is left out
      parameters_(networks.front()->parameters().count()),
      convex_(options.convex_combination ? convex_coordinates : 0) {
  if (batches_per_epoch_ == 0) throw UserError("--batch-size: there are fewer training images than that");
}

Tensor Optimizee::start(std::uint64_t number, std::int64_t first_batch) {
  network_ = networks_[number % networks_.size()].get();
  place(first_batch);
  // The rule's first weights come from the same streams (LearnedRule::assemble): the weights that come with the library
  // were learned so.
  Random first(options_.seed, Purpose::init, number), scaling(options_.seed, Purpose::scaling, number);
  const auto draw_scale = [&](double range) {
    return options_.random_scaling ? static_cast<float>(std::exp(scaling.uniform(-range, range))) : 1.0f;
  };
  scale_.resize(static_cast<std::size_t>(parameters_ + convex_));
  target_.resize(static_cast<std::size_t>(convex_));
  Tensor w = Tensor::zeros({parameters_ + convex_}, DType::float32);
  for (std::int64_t i = 0; i < parameters_ + convex_; ++i) {
    float& c = scale_[static_cast<std::size_t>(i)];
    c = draw_scale(i < parameters_ ? network_range : convex_range);
    if (i < parameters_) w.data<float>()[i] = static_cast<float>(0.1 * first.normal()) / c;
  }
  for (float& a : target_) a = static_cast<float>(scaling.uniform(-1, 1));
  return w;
}

double Optimizee::operator()(const Tensor& w, Tensor& g) {
  Batch batch;
  next_batch(batch);
  write_parameters(w);
  ParameterSet& parameters = network_->parameters();
  Tape tape;
  Pass pass{.tape = &tape, .training = true};
  const Loss loss = cross_entropy(pass, network_->forward(pass, batch.x), batch.labels);
  parameters.clear_gradients();
  tape.backward({loss.seed});

  float* to = g.data<float>();
  const float* c = scale_.data();
  for (const Parameter* parameter : parameters.list()) {
    const float* from = parameter->grad().data<float>();
    for (std::int64_t i = 0; i < parameter->numel(); ++i) to[i] = from[i] * c[i];
    to += parameter->numel();
    c += parameter->numel();
  }
  return loss.mean() + add_convex(w.data<float>() + parameters_, to);
}

double Optimizee::mean_loss(const Tensor& w, std::int64_t first_batch, std::int64_t batches) {
  place(first_batch);
  write_parameters(w);
  double sum = 0;
  for (std::int64_t b = 0; b < batches; ++b) {
    Batch batch;
    next_batch(batch);
    Pass pass;
    sum += cross_entropy(pass, network_->forward(pass, batch.x), batch.labels).mean();
  }
  return sum / static_cast<double>(batches);
}

void Optimizee::place(std::int64_t batch) {
  position_ = batch;
  loader_.start(batch / batches_per_epoch_, batch % batches_per_epoch_);
}

void Optimizee::next_batch(Batch& batch) {
  if (position_ % batches_per_epoch_ == 0) place(position_);  // the next epoch
  ACTGRAD_CHECK(loader_.next(batch), "no batch");
  ++position_;
}

void Optimizee::write_parameters(const Tensor& w) {
  const float *from = w.data<float>(), *c = scale_.data();
  for (const Parameter* parameter : network_->parameters().list()) {
    float* to = parameter->value().data<float>();
    for (std::int64_t i = 0; i < parameter->numel(); ++i) to[i] = from[i] * c[i];
    from += parameter->numel();
    c += parameter->numel();
  }
}

// mean clip((z·c − a)², 0, 10) of the convex part's coordinates; g receives its gradient: 0 where clipped.
double Optimizee::add_convex(const float* z, float* g) const {
  double sum = 0;
  for (std::int64_t i = 0; i < convex_; ++i) {
    const double c = static_cast<double>(scale_[static_cast<std::size_t>(parameters_ + i)]);
    const double distance = static_cast<double>(z[i]) * c - static_cast<double>(target_[static_cast<std::size_t>(i)]);
    const double square = distance * distance;
    sum += std::min(square, largest_square);
    g[i] = square < largest_square ? static_cast<float>(2 * distance * c / static_cast<double>(convex_)) : 0.0f;
  }
  return convex_ > 0 ? sum / static_cast<double>(convex_) : 0;
}

}  // namespace actgrad
