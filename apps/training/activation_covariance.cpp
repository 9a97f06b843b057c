#include "apps/training/activation_covariance.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "apps/training/trainer.h"
#include "core/atomic_file.h"
#include "data/loader.h"
#include "optim/batch_statistic.h"

namespace actgrad {
namespace {

class CovarianceProbe final : public Probe {
 public:
  explicit CovarianceProbe(const Model& model) {
    const std::vector<WeightedLayer*>& all = model.weighted_layers();
    for (std::size_t i = 1; i < all.size(); ++i) {
      const std::int64_t n = all[i]->columns_with_bias();
      layers_.push_back({all[i], BatchStatistic(Tensor::zeros({all[i]->groups(), n, n}, model.dtype(),
                                                              model.parameters().device()))});
    }
  }
  struct Layer {
    WeightedLayer* layer;
    BatchStatistic covariance;
  };
  void on_input(const WeightedLayer& layer, const Tensor& x) override {
    for (Layer& state : layers_)
      if (state.layer == &layer)
        state.covariance.add(layer.rows(x), [&](Tensor& mean) { layer.write_input_covariance(x, mean); });
  }
  std::vector<Layer>& layers() { return layers_; }

 private:
  std::vector<Layer> layers_;
};

// As short as six digits allow.
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

// Where each of a layer's inputs lies, in PyTorch's order: a patch's are (ky, kx, c) in memory, (c, ky, kx) there.
std::vector<std::int64_t> places_of_inputs(WeightedLayer& layer) {
  const Shape& weight = layer.weight().shape;
  std::vector<std::int64_t> places;
  if (weight.rank() < 4) {
    for (std::int64_t i = 0; i < layer.columns(); ++i) places.push_back(i);
    return places;
  }
  const std::int64_t positions = weight[1] * weight[2], channels = weight[3];
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t position = 0; position < positions; ++position) places.push_back(position * channels + c);
  return places;
}

// A layer's matrix as CSV; `share` receives that of its diagonal.
std::string matrix_csv(const Tensor& covariance, const std::vector<std::int64_t>& places, double& share) {
  const std::vector<double> a = covariance.to_doubles();
  const std::int64_t n = covariance.dim(2);  // the bias' column, where there is one, is the last
  std::string text;
  double diagonal = 0, all = 0;
  for (const std::int64_t i : places)
    for (const std::int64_t j : places) {
      const double value = a[static_cast<std::size_t>(i * n + j)];
      all += std::abs(value);
      if (i == j) diagonal += std::abs(value);
      text += number(value) + (j == places.back() ? "\n" : ",");
    }
  share = all > 0 ? diagonal / all : 0;
  return text;
}

// The rows of diagonal_share.csv of earlier epochs, with its header.
std::string earlier_rows(const std::string& path, std::int64_t epoch) {
  std::string text = "epoch,layer,size,share,random_share\n";
  if (!std::filesystem::exists(path)) return text;
  std::istringstream lines(read_file(path));
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);)
    if (std::strtoll(line.c_str(), nullptr, 10) < epoch) text += line + "\n";
  return text;
}

}  // namespace

void write_activation_covariance(Model& model, const Dataset& data, kernels::ConvEngine engine,
                                 const std::string& folder, std::int64_t epoch) {
  CovarianceProbe probe(model);
  Loader loader(on_device(data.test, model.parameters().device()), data.mean, data.std,
                {.batch_size = test_batch_size, .shuffle = false, .augment = false, .dtype = model.dtype()});
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Pass pass{.training = true, .primary = false, .probe = &probe, .conv_engine = engine};
    model.forward(pass, batch.x);
  }

  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw UserError("cannot create " + folder + ": " + error.message());
  const std::string shares = folder + "/diagonal_share.csv";
  std::string rows = earlier_rows(shares, epoch);
  for (CovarianceProbe::Layer& state : probe.layers()) {
    const std::int64_t d = state.layer->columns();
    double share = 0;
    write_file_atomically(folder + "/epoch" + std::to_string(epoch) + "_" + state.layer->name() + ".csv",
                          matrix_csv(state.covariance.mean(), places_of_inputs(*state.layer), share));
    rows += std::to_string(epoch) + "," + state.layer->name() + "," + std::to_string(d) + "," + number(share) + "," +
            number(1.0 / static_cast<double>(d)) + "\n";
  }
  write_file_atomically(shares, rows);
}

}  // namespace actgrad
