#include "layers/init.h"

#include <cmath>

#include "core/random.h"
#include "kernels/dispatch.h"

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
  kernels::visit_floating(parameter.value().dtype(), [&]<class T>() {
    T* values = parameter.value().data<T>();
    for (std::int64_t i = 0; i < parameter.numel(); ++i) values[i] = static_cast<T>(draw());
  });
}

}  // namespace actgrad
