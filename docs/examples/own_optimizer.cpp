// An own model and an own optimizer that looks at activations, trained on the built-in synthetic images.
#include <actgrad/apps/training/trainer.h>
#include <actgrad/kernels/elementwise.h>
#include <actgrad/layers/conv2d.h>
#include <actgrad/layers/linear.h>
#include <actgrad/layers/sequential.h>

#include <cstdio>
#include <map>

using namespace actgrad;

// Gradient descent that divides each layer's rate by 1 + the mean square of that layer's inputs.
class InputScaled : public Optimizer {
 public:
  explicit InputScaled(Model& model) : Optimizer(model) {}

  // The layers call this in training; (groups, d): the mean over the batch of each input's square.
  void on_input(const WeightedLayer& layer, const Tensor& x) override {
    const Tensor moment = layer.input_second_moment(x);
    scale_[layer.name()] = 1 + kernels::sum(moment) / static_cast<double>(moment.numel());
  }

  void update() override {
    for (WeightedLayer* layer : model_.weighted_layers())
      for (Parameter* p : {&layer->weight(), layer->bias()})
        if (p && p->variable.has_grad()) {
          Tensor values = p->value();
          kernels::mix(values, 1, p->grad(), -lr_ / scale_[layer->name()]);  // values = 1·values − rate·gradient
        }
  }

 private:
  std::map<std::string, double> scale_;
};

std::unique_ptr<Model> small_network(const InputSpec& input, std::uint64_t seed) {
  auto network = std::make_unique<Sequential>();
  network->append<Conv2d>(input.channels, 8, 3, Conv2dOptions{.stride = 2, .padding = 1});
  network->append<ReLU>();
  network->append<MaxPool2d>(kernels::PoolGeometry{.size = 2, .stride = 2});
  network->append<Flatten>();
  network->append<Linear>(8 * (input.height / 4) * (input.width / 4), input.classes);
  return std::make_unique<Model>(std::move(network), input, DType::float32, seed);
}

int main() {
  const Dataset data = synthetic_dataset(2000, 500);
  auto model = small_network(input_spec(data), 1);
  InputScaled optimizer(*model);
  Trainer(*model, optimizer, data, {.epochs = 5, .lr = 0.2}).run();
  const double accuracy = evaluate(*model, data.test, data)->accuracy;

  model->save("own_optimizer.safetensors");
  auto loaded = small_network(input_spec(data), 2);
  loaded->load("own_optimizer.safetensors");
  std::printf("test accuracy %.1f%%, after loading %.1f%%\n", accuracy, evaluate(*loaded, data.test, data)->accuracy);
  return accuracy > 15 && evaluate(*loaded, data.test, data)->accuracy == accuracy ? 0 : 1;
}
