// Convolution by oneDNN: the engine to race.
//
// Images stay NHWC. Weights are reordered at every call from our OHWI to what the chosen primitive wants, and weight
// gradients back: they are small beside the images. A primitive is machine code generated for one geometry, which takes
// milliseconds, so primitives are kept, and a call only puts in the addresses of its data.
#include "kernels/conv2d_engines.h"

#ifdef ACTGRAD_HAVE_ONEDNN

#include <algorithm>
#include <compare>
#include <dnnl.hpp>
#include <initializer_list>
#include <map>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "kernels/parallel.h"

namespace actgrad::kernels {
namespace {

using dnnl::memory;
using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

constexpr auto float32 = memory::data_type::f32;
constexpr auto direct = dnnl::algorithm::convolution_direct;

// What a primitive is made for.
enum class Task {
  forward,
  forward_bias,
  data,                // dx by oneDNN's backward-data primitive, which cannot accumulate
  rotated,             // dx by its forward primitive: see can_rotate
  rotated_accumulate,  // the same, added to what dx holds
  weight,
  weight_accumulate,
};

// A primitive and its arguments.
class Plan {
 public:
  // `images`: DNNL_ARG_* of the primitive's arguments but for `weights`, which are `ours` in our memory order.
  Plan(const dnnl::primitive_desc& desc, std::initializer_list<int> images, int weights, const memory::desc& ours,
       bool accumulate_weights = false)
      : primitive_(desc), weights_(weights), ours_(ours, desc.get_engine(), nullptr) {
    const auto add = [&](int argument) {
      arguments_[argument] = memory(desc.query_md(dnnl::query::exec_arg_md, argument), desc.get_engine(), nullptr);
    };
    for (const int argument : images) add(argument);
    add(weights);
    add(DNNL_ARG_SCRATCHPAD);
    const memory& theirs = arguments_[weights];
    if (weights == DNNL_ARG_WEIGHTS) {
      if (theirs.get_desc() != ours) reorder_ = dnnl::reorder(ours_, theirs);
    } else if (accumulate_weights) {
      reorder_ = dnnl::reorder(dnnl::reorder::primitive_desc(theirs, ours_, adding()));
    } else if (theirs.get_desc() != ours) {
      reorder_ = dnnl::reorder(theirs, ours_);
    }
  }

  // An attribute for primitives that add to their destination.
  static dnnl::primitive_attr adding() {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(sum);
    return attributes;
  }

  void set(int argument, const Tensor& tensor) { arguments_.at(argument).set_data_handle(tensor.raw()); }

  // Returns when all is done: some builds of oneDNN only queue the work.
  void run(dnnl::stream& stream, const Tensor& weights) {
    const Tensor scratch = room_for(arguments_.at(DNNL_ARG_SCRATCHPAD));
    set(DNNL_ARG_SCRATCHPAD, scratch);
    if (!reorder_) {
      set(weights_, weights);
      primitive_.execute(stream, arguments_);
      stream.wait();
      return;
    }
    memory& theirs = arguments_.at(weights_);
    const Tensor packed = room_for(theirs);
    set(weights_, packed);
    ours_.set_data_handle(weights.raw());
    if (weights_ == DNNL_ARG_WEIGHTS) reorder_.execute(stream, ours_, theirs);
    primitive_.execute(stream, arguments_);
    if (weights_ != DNNL_ARG_WEIGHTS) reorder_.execute(stream, theirs, ours_);
    stream.wait();
  }

 private:
  static Tensor room_for(const memory& argument) {
    return Tensor::empty({static_cast<std::int64_t>(argument.get_desc().get_size())}, DType::uint8);
  }

  dnnl::primitive primitive_;
  int weights_ = 0;  // DNNL_ARG_WEIGHTS, which is read, or DNNL_ARG_DIFF_WEIGHTS, which is written
  memory ours_;
  dnnl::reorder reorder_;  // between our weights and the primitive's; null where both orders are the same
  std::unordered_map<int, memory> arguments_;
};

// The tensors of a convolution as oneDNN describes them: sizes in the order N C H W and (G) O I H W, whatever the order
// in memory.
struct Description {
  memory::desc x, y, bias, ours, weights;  // `ours` are the weights in our order, `weights` in any that suits oneDNN
  memory::dims strides, dilation, padding;

  explicit Description(const Conv2dGeometry& g) {
    const auto images = [&](std::int64_t channels, std::int64_t height, std::int64_t width) {
      return memory::desc({g.batch, channels, height, width}, float32, memory::format_tag::nhwc);
    };
    x = images(g.in_channels, g.height, g.width);
    y = images(g.out_channels, g.out_height(), g.out_width());
    bias = memory::desc({g.out_channels}, float32, memory::format_tag::a);
    const std::int64_t patch = g.patch_size(), in = g.group_in();
    memory::dims sizes{g.groups, g.group_out(), in, g.kernel_h, g.kernel_w};
    memory::dims steps{g.group_out() * patch, patch, 1, g.kernel_w * in, in};
    if (g.groups == 1) {
      sizes.erase(sizes.begin());
      steps.erase(steps.begin());
    }
    ours = memory::desc(sizes, float32, steps);
    weights = memory::desc(sizes, float32, memory::format_tag::any);
    strides = {g.stride, g.stride};
    dilation = {g.dilation - 1, g.dilation - 1};
    padding = {g.padding, g.padding};
  }
};

// With stride 1, the gradient with respect to x is itself a convolution of dy: input and output channels exchanged, the
// kernel rotated by half a turn, padding d·(K−1) − p. oneDNN's forward primitives are up to 13% faster than its
// backward-data ones where that padding is no larger than p (it is equal where images keep their size), and they can
// accumulate.
bool can_rotate(const Conv2dGeometry& g) {
  const std::int64_t padding = g.dilation * (g.kernel_h - 1) - g.padding;
  return g.stride == 1 && g.groups == 1 && g.kernel_h == g.kernel_w && padding >= 0 && padding <= g.padding;
}

Conv2dGeometry rotate(const Conv2dGeometry& g) {
  Conv2dGeometry rotated = g;
  rotated.height = g.out_height();
  rotated.width = g.out_width();
  std::swap(rotated.in_channels, rotated.out_channels);
  rotated.padding = g.dilation * (g.kernel_h - 1) - g.padding;
  return rotated;
}

// weight[o, K−1−ky, K−1−kx, i]
Tensor rotate_weight(const Conv2dGeometry& g, const Tensor& weight) {
  Tensor rotated = Tensor::empty(weight.shape(), DType::float32);
  const float* from = weight.data<float>();
  float* to = rotated.data<float>();
  const std::int64_t area = g.kernel_h * g.kernel_w, in = g.in_channels;
  parallel_for(g.out_channels, 1 + 32768 / g.patch_size(), [&](Range range, int) {
    for (std::int64_t o = range.begin; o < range.end; ++o)
      for (std::int64_t k = 0; k < area; ++k)
        std::copy_n(from + (o * area + k) * in, in, to + (o * area + area - 1 - k) * in);
  });
  return rotated;
}

// The description of a primitive from the parts of its operation. `hint` is the forward primitive of a backward one.
template <class Convolution, class... Parts>
typename Convolution::primitive_desc choose(const dnnl::engine& engine, const dnnl::primitive_attr& attributes,
                                            [[maybe_unused]] const Forward::primitive_desc& hint,
                                            const Parts&... parts) {
  constexpr bool is_forward = std::is_same_v<Convolution, Forward>;
#if DNNL_VERSION_MAJOR >= 3
  if constexpr (is_forward)
    return {engine, parts..., attributes};
  else
    return {engine, parts..., hint, attributes};
#else
  const typename Convolution::desc operation(parts...);
  if constexpr (is_forward)
    return {operation, attributes, engine};
  else
    return {operation, attributes, engine, hint};
#endif
}

Plan make_plan(const Conv2dGeometry& g, Task task, const dnnl::engine& engine) {
  const bool is_rotated = task == Task::rotated || task == Task::rotated_accumulate;
  Description d(is_rotated ? rotate(g) : g);
  if (is_rotated) {  // weights (O, KH, KW, I) serve as (I, KH, KW, O)
    const memory::dims steps{1, g.patch_size(), g.kernel_w * g.in_channels, g.in_channels};
    d.ours = memory::desc({g.in_channels, g.out_channels, g.kernel_h, g.kernel_w}, float32, steps);
  }
  const bool has_bias = task == Task::forward_bias;
  dnnl::primitive_attr attributes = task == Task::rotated_accumulate ? Plan::adding() : dnnl::primitive_attr();
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  const auto forward =
      choose<Forward>(engine, attributes, {}, dnnl::prop_kind::forward_training, direct, d.x, d.weights,
                      has_bias ? d.bias : memory::desc(), d.y, d.strides, d.dilation, d.padding, d.padding);
  if (task == Task::data) {
    const auto data = choose<BackwardData>(engine, attributes, forward, direct, d.x, d.weights, d.y, d.strides,
                                           d.dilation, d.padding, d.padding);
    return {data, {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC}, DNNL_ARG_WEIGHTS, d.ours};
  }
  if (task == Task::weight || task == Task::weight_accumulate) {
    const auto weight = choose<BackwardWeights>(engine, attributes, forward, direct, d.x, d.weights, d.y, d.strides,
                                                d.dilation, d.padding, d.padding);
    const bool accumulate = task == Task::weight_accumulate;
    return {weight, {DNNL_ARG_DIFF_DST, DNNL_ARG_SRC}, DNNL_ARG_DIFF_WEIGHTS, d.ours, accumulate};
  }
  if (has_bias) return {forward, {DNNL_ARG_SRC, DNNL_ARG_BIAS, DNNL_ARG_DST}, DNNL_ARG_WEIGHTS, d.ours};
  return {forward, {DNNL_ARG_SRC, DNNL_ARG_DST}, DNNL_ARG_WEIGHTS, d.ours};
}

// Arguments hold addresses while a call runs, so each thread has plans (and a stream) of its own.
class Library {
 public:
  static Library& of_this_thread() {
    thread_local Library library;
    return library;
  }

  Plan& plan(const Conv2dGeometry& g, Task task) {
    const Key key{g, task, threads()};
    const auto found = plans_.find(key);
    return found != plans_.end() ? found->second : plans_.emplace(key, make_plan(g, task, engine_)).first->second;
  }

  dnnl::stream& stream() { return stream_; }

 private:
  struct Key {
    Conv2dGeometry geometry;
    Task task;
    int threads;  // a primitive divides its work among so many
    auto operator<=>(const Key&) const = default;
  };
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Key, Plan> plans_;
};

// dx += the gradient, through scratch: a block of images at a time, so that it stays in the cache.
void add_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx) {
  const std::int64_t image = g.height * g.width * g.in_channels;
  const std::int64_t images = std::clamp<std::int64_t>((1 << 18) / image, 1, g.batch);
  Conv2dGeometry block = g;
  for (std::int64_t first = 0; first < g.batch; first += images) {
    block.batch = std::min(images, g.batch - first);
    Tensor part = Tensor::empty(block.input_shape(), DType::float32);
    library_backward_data(block, dy.slice(first, first + block.batch), weight, part, Write::overwrite);
    const float* from = part.data<float>();
    float* to = dx.data<float>() + first * image;
    parallel_for(part.numel(), 32768, [&](Range range, int) {
      for (std::int64_t i = range.begin; i < range.end; ++i) to[i] += from[i];
    });
  }
}

}  // namespace

bool conv_library_available() {
  return true;
}

void library_forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  Library& library = Library::of_this_thread();
  Plan& plan = library.plan(g, bias ? Task::forward_bias : Task::forward);
  plan.set(DNNL_ARG_SRC, x);
  plan.set(DNNL_ARG_DST, y);
  if (bias) plan.set(DNNL_ARG_BIAS, bias);
  plan.run(library.stream(), weight);
}

void library_backward_data(const Conv2dGeometry& g, const Tensor& dy, const Tensor& weight, Tensor& dx, Write mode) {
  Library& library = Library::of_this_thread();
  if (can_rotate(g)) {
    Plan& plan = library.plan(g, mode == Write::overwrite ? Task::rotated : Task::rotated_accumulate);
    plan.set(DNNL_ARG_SRC, dy);
    plan.set(DNNL_ARG_DST, dx);
    plan.run(library.stream(), rotate_weight(g, weight));
  } else if (mode == Write::accumulate) {
    add_backward_data(g, dy, weight, dx);
  } else {
    Plan& plan = library.plan(g, Task::data);
    plan.set(DNNL_ARG_DIFF_DST, dy);
    plan.set(DNNL_ARG_DIFF_SRC, dx);
    plan.run(library.stream(), weight);
  }
}

void library_backward_weight(const Conv2dGeometry& g, const Tensor& dy, const Tensor& x, Tensor& dweight, Write mode) {
  Library& library = Library::of_this_thread();
  Plan& plan = library.plan(g, mode == Write::overwrite ? Task::weight : Task::weight_accumulate);
  plan.set(DNNL_ARG_DIFF_DST, dy);
  plan.set(DNNL_ARG_SRC, x);
  plan.run(library.stream(), dweight);
}

}  // namespace actgrad::kernels

#else

namespace actgrad::kernels {

bool conv_library_available() {
  return false;
}

void library_forward(const Conv2dGeometry&, const Tensor&, const Tensor&, const Tensor&, Tensor&) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}
void library_backward_data(const Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}
void library_backward_weight(const Conv2dGeometry&, const Tensor&, const Tensor&, Tensor&, Write) {
  ACTGRAD_CHECK(false, "built without oneDNN");
}

}  // namespace actgrad::kernels

#endif
