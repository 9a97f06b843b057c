#include "optim/schedule.h"

#include "core/error.h"
#include "test/catch.h"

using actgrad::Schedule;

TEST_CASE("cosine: per epoch, from the base rate to nearly zero") {
  const Schedule schedule{Schedule::Kind::cosine, {}, 0.1};
  CHECK(schedule.rate(0.1, 0, 200) == 0.1);
  CHECK(schedule.rate(0.1, 100, 200) == Approx(0.05));
  CHECK(schedule.rate(0.1, 199, 200) == Approx(6.2e-5 * 0.1).epsilon(0.01));  // the published recipe's last epoch
}

TEST_CASE("multistep multiplies at each milestone; constant stays") {
  const Schedule schedule{Schedule::Kind::multistep, {3, 5}, 0.1};
  CHECK(schedule.rate(1, 2, 9) == 1);
  CHECK(schedule.rate(1, 3, 9) == Approx(0.1));
  CHECK(schedule.rate(1, 8, 9) == Approx(0.01));
  CHECK(Schedule{Schedule::Kind::constant, {}, 0.1}.rate(0.3, 7, 9) == 0.3);
  CHECK_THROWS_AS(Schedule::parse_kind("cosin"), actgrad::UserError);
}
