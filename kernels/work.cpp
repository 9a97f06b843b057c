#include "kernels/work.h"

namespace actgrad::kernels {

namespace detail {
constinit thread_local WorkCounter* work_counter = nullptr;
}

std::vector<NamedWork> count_work(const std::function<void()>& body) {
  ACTGRAD_CHECK(!detail::work_counter, "work is being counted already");
  detail::WorkCounter counter;
  struct Counting {
    explicit Counting(detail::WorkCounter& to) { detail::work_counter = &to; }
    ~Counting() { detail::work_counter = nullptr; }
  } const counting(counter);
  body();
  return std::move(counter.calls);
}

}  // namespace actgrad::kernels
