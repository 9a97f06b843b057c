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

TEST_CASE("cosine with warm-up and a floor: AdaAct's recipe for DeiT-S") {
  Schedule schedule;
  schedule.min_lr = 4e-4;
  schedule.warmup_epochs = 5;
  schedule.warmup_lr = 0.4;
  // From timm's CosineLRScheduler(t_initial=150, lr_min=4e-4, warmup_t=5, warmup_lr_init=.4).
  const std::vector<double> timm = {0.4, 1.12, 1.84, 2.56, 3.28, 3.989044886357473};
  for (std::size_t epoch = 0; epoch < timm.size(); ++epoch)
    CHECK(schedule.rate(4, static_cast<double>(epoch), 150) == Approx(timm[epoch]).epsilon(1e-14));
  CHECK(schedule.rate(4, 75, 150) == Approx(2.0002).epsilon(1e-14));
  CHECK(schedule.rate(4, 149, 150) == Approx(0.0008385891870039699).epsilon(1e-12));
  CHECK(schedule.rate(4, 2.7, 150) == schedule.rate(4, 2, 150));

  // The same with 10 updates per epoch, t_in_epochs=False.
  schedule.per_step = true;
  CHECK(schedule.rate(4, 0, 150) == 0.4);
  CHECK(schedule.rate(4, 0.7, 150) == Approx(0.904).epsilon(1e-14));
  CHECK(schedule.rate(4, 4.9, 150) == Approx(3.928).epsilon(1e-14));
  CHECK(schedule.rate(4, 5, 150) == Approx(3.989044886357473).epsilon(1e-14));
  CHECK(schedule.rate(4, 77.7, 150) == Approx(1.887174234742848).epsilon(1e-13));
  CHECK(schedule.rate(4, 149.9, 150) == Approx(0.0004043860505924684).epsilon(1e-12));
}

TEST_CASE("cosine with a floor as PyTorch's CosineAnnealingLR") {
  Schedule schedule;
  schedule.min_lr = 1e-3;
  CHECK(schedule.rate(0.1, 0, 200) == Approx(0.1).epsilon(1e-15));
  CHECK(schedule.rate(0.1, 1, 200) == Approx(0.09999389330784221).epsilon(1e-12));
  CHECK(schedule.rate(0.1, 77, 200) == Approx(0.06799700476707324).epsilon(1e-12));
  CHECK(schedule.rate(0.1, 199, 200) == Approx(0.001006106692157801).epsilon(1e-12));
}

TEST_CASE("multistep and constant warm up too") {
  Schedule schedule{Schedule::Kind::multistep, {3, 5}, 0.1};
  schedule.warmup_epochs = 2;
  schedule.warmup_lr = 0.2;
  const std::vector<double> rates = {0.2, 0.6, 1, 0.1, 0.1, 0.01};
  for (std::size_t epoch = 0; epoch < rates.size(); ++epoch)
    CHECK(schedule.rate(1, static_cast<double>(epoch), 9) == Approx(rates[epoch]).epsilon(1e-14));
  schedule.kind = Schedule::Kind::constant;
  CHECK(schedule.rate(1, 1, 9) == Approx(0.6));
  CHECK(schedule.rate(1, 8, 9) == 1);
}

TEST_CASE("multistep multiplies at each milestone; constant stays") {
  const Schedule schedule{Schedule::Kind::multistep, {3, 5}, 0.1};
  CHECK(schedule.rate(1, 2, 9) == 1);
  CHECK(schedule.rate(1, 3, 9) == Approx(0.1));
  CHECK(schedule.rate(1, 8, 9) == Approx(0.01));
  CHECK(Schedule{Schedule::Kind::constant, {}, 0.1}.rate(0.3, 7, 9) == 0.3);
  CHECK_THROWS_AS(Schedule::parse_kind("cosin"), actgrad::UserError);
}
