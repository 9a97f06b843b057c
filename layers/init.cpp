#include "layers/init.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "kernels/elementwise.h"

namespace actgrad {

void initialise(Parameter& parameter, std::uint64_t seed, std::uint64_t stream) {
  Random random(seed, Purpose::init, stream);
  const double fan_in = static_cast<double>(parameter.fan_in);
  auto draw = [&]() -> double {
    switch (parameter.init) {
      case Init::zeros: return 0;
      case Init::ones: return 1;
      case Init::uniform_fan_in: return random.uniform(-1, 1) / std::sqrt(fan_in);
      case Init::kaiming_normal_fan_in: return random.normal() * std::sqrt(2 / fan_in);
    }
    ACTGRAD_CHECK(false, "init");
  };
  std::vector<double> values(static_cast<std::size_t>(parameter.numel()));
  std::generate(values.begin(), values.end(), draw);
  Tensor value = parameter.value();
  kernels::cast(Tensor::from(value.shape(), values).to(value.device()), value);
}

}  // namespace actgrad
