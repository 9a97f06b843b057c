#include "layers/model.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/reshape.h"
#include "layers/init.h"

namespace actgrad {
namespace {

std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Shape file_shape(const Parameter& p) {
  return p.layout == FileLayout::ohwi_to_oihw ? Shape{p.shape[0], p.shape[3], p.shape[1], p.shape[2]} : p.shape;
}

}  // namespace

Model::Model(std::unique_ptr<Module> root, const InputSpec& input, DType dtype, std::uint64_t seed, Device device)
    : root_(std::move(root)), input_(input) {
  std::vector<Parameter*> parameters;
  collect(*root_, "", parameters);
  parameters_ = ParameterSet(parameters, dtype, device);
  for (std::size_t i = 0; i < parameters.size(); ++i) initialise(*parameters[i], seed, i);
  for (auto& [name, buffer] : buffers_) {
    buffer->value = Tensor::empty(buffer->shape, dtype, device);
    kernels::fill(buffer->value, buffer->initial);
  }
}

void Model::collect(Module& module, const std::string& prefix, std::vector<Parameter*>& parameters) {
  auto* weighted = dynamic_cast<WeightedLayer*>(&module);
  if (weighted) {
    weighted->name_ = prefix;
    weighted_layers_.push_back(weighted);
  }
  for (auto& [name, parameter] : module.parameters()) {
    parameter->name = join(prefix, name);
    parameters.push_back(parameter);
    if (!weighted) other_parameters_.push_back(parameter);
  }
  for (auto& [name, buffer] : module.buffers()) buffers_.emplace_back(join(prefix, name), buffer);
  for (auto& [name, child] : module.children()) collect(*child, join(prefix, name), parameters);
}

Variable Model::forward(Pass& pass, const Tensor& x) {
  ACTGRAD_CHECK(x.rank() == 4 && x.dtype() == dtype(), "a model takes images (N, H, W, C) of its own dtype");
  return root_->forward(pass, Variable(x));
}

std::vector<NamedTensor> Model::state() const {
  std::vector<NamedTensor> state;
  for (const Parameter* p : parameters_.list())
    state.push_back(
        {p->name, p->layout == FileLayout::ohwi_to_oihw ? kernels::ohwi_to_oihw(p->value()) : p->value().clone()});
  for (auto& [name, buffer] : buffers_) state.push_back({name, buffer->value.clone()});
  return state;
}

void Model::load_state(const std::vector<NamedTensor>& state, const std::string& origin) {
  std::vector<std::pair<Tensor, Tensor>>
      assignments;  // (from the file, into the model); carried out when all are valid
  std::vector<std::string> known;
  auto assign = [&](const std::string& name, const Shape& shape, FileLayout layout, const Tensor& destination) {
    known.push_back(name);
    for (const NamedTensor& entry : state) {
      if (entry.name != name) continue;
      if (entry.tensor.shape() != shape)
        throw UserError(origin + ": '" + name + "' has shape " + entry.tensor.shape().to_string() +
                        ", the model's is " + shape.to_string());
      if (entry.tensor.dtype() != DType::float32 && entry.tensor.dtype() != DType::float64)
        throw UserError(origin + ": '" + name + "' holds " + name_of(entry.tensor.dtype()) +
                        ", not float32 or float64");
      assignments.emplace_back(layout == FileLayout::ohwi_to_oihw ? kernels::oihw_to_ohwi(entry.tensor) : entry.tensor,
                               destination);
      return;
    }
    throw UserError(origin + ": no tensor '" + name + "': not a file of this model");
  };
  for (const Parameter* p : parameters_.list()) assign(p->name, file_shape(*p), p->layout, p->value());
  for (auto& [name, buffer] : buffers_) assign(name, buffer->shape, FileLayout::as_is, buffer->value);
  for (const NamedTensor& entry : state)
    if (!ends_with(entry.name, "num_batches_tracked") &&
        std::find(known.begin(), known.end(), entry.name) == known.end())
      throw UserError(origin + ": tensor '" + entry.name + "' has no place in this model");
  for (auto& [from, to] : assignments) {
    if (from.dtype() == to.dtype())
      to.copy_from(from);
    else
      kernels::cast(from.to(to.device()), to);
  }
}

void Model::save(const std::string& path) const {
  write_tensor_file(path, {state(), {{"format", "pt"}}});
}
void Model::load(const std::string& path) {
  load_state(read_tensor_file(path).tensors, path);
}

}  // namespace actgrad
