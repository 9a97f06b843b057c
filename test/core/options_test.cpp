#include "core/options.h"

#include "core/error.h"
#include "core/random.h"
#include "core/split.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

OptionTable table() {
  return {Option{"lr", 0.1, "learning rate"}.at_least(0).from("a paper"),
          Option{"beta1", 0.9, "decay"}.range_open_high(0, 1),
          Option{"damping", 1.0, "damping"}.above(0),
          Option{"dropout", 0.5, "share"}.range(0, 1),
          Option{"weight-decay", 0.0, "decay"},
          Option{"batch-size", std::int64_t{128}, "images"}.at_least(1),
          Option{"nesterov", false, "look ahead"},
          Option{"schedule", std::string("cosine"), "of the rate"}.one_of({"constant", "cosine", "multistep"}),
          Option{"out", std::string(), "folder"}};
}

}  // namespace

TEST_CASE("a list is split at every separator, and empty parts stay") {
  using Parts = std::vector<std::string>;
  CHECK(split("256,128") == Parts{"256", "128"});
  CHECK(split("a;b,c", ';') == Parts{"a", "b,c"});
  CHECK(split("a,") == Parts{"a", ""});
  CHECK(split(",") == Parts{"", ""});
  CHECK(split("") == Parts{""});
}

TEST_CASE("numbers print short and read back the same") {
  CHECK(to_text(0.1) == "0.1");
  CHECK(to_text(1e-8) == "1e-08");
  CHECK(to_text(0.002) == "0.002");
  CHECK(to_text(4.0) == "4");
  CHECK(to_text(-0.0) == "-0");
  CHECK(to_text(1.0 / 3) == "0.3333333333333333");
  CHECK(to_text(100000.0) == "100000");
  CHECK(to_text(std::int64_t{-5}) == "-5");
  CHECK(to_text(true) == "true");
  CHECK(to_text(std::string("a b")) == "a b");

  const Option option{"x", 0.0, ""};
  Random random(4, Purpose::test);
  for (int i = 0; i < 2000; ++i) {
    const double value = random.normal() * std::pow(10.0, random.uniform(-300, 300));
    REQUIRE(std::get<double>(option.parse(to_text(value))) == value);
  }
}

TEST_CASE("options have defaults until they are set") {
  Options options(table());
  CHECK(options.number("lr") == 0.1);
  CHECK(options.integer("batch-size") == 128);
  CHECK_FALSE(options.flag("nesterov"));
  CHECK(options.text("schedule") == "cosine");
  CHECK_FALSE(options.was_set("lr"));
  CHECK(options.contains("lr"));
  CHECK_FALSE(options.contains("rate"));

  options.set("lr", 0.1).set("batch-size", std::int64_t{64}).set("schedule", "constant").set("nesterov", true);
  CHECK(options.was_set("lr"));
  CHECK(options.integer("batch-size") == 64);
  CHECK(options.text("schedule") == "constant");
  CHECK(options.flag("nesterov"));
  options.set("lr", 0).set("batch-size", 1u).set("nesterov", false);
  CHECK(options.number("lr") == 0.0);
  CHECK(options.integer("batch-size") == 1);
  CHECK_FALSE(options.flag("nesterov"));
  options.set("batch-size", 64).set("lr", std::int64_t{4});  // an integer is a number
  CHECK(options.number("lr") == 4.0);
  CHECK(options.number("batch-size") == 64.0);
  CHECK_THROWS_AS(options.integer("lr"), InternalError);
  CHECK_THROWS_AS(options.flag("lr"), InternalError);
  CHECK_THROWS_AS(options.text("lr"), InternalError);
}

TEST_CASE("underscores and dashes are the same") {
  Options options(table());
  options.set_text("weight_decay", "0.002");
  CHECK(options.number("weight-decay") == 0.002);
  CHECK(options.number("weight_decay") == 0.002);
  CHECK(options.was_set("weight-decay"));
  CHECK(find_option(options.table(), "batch_size")->name == "batch-size");
  CHECK(find_option(options.table(), "batch") == nullptr);
}

TEST_CASE("text is read as the option's type") {
  Options options(table());
  CHECK(options.set_text("lr", "1e-3").number("lr") == 1e-3);
  CHECK(options.set_text("lr", "+2").number("lr") == 2);
  CHECK(options.set_text("batch-size", "1").integer("batch-size") == 1);
  CHECK(options.set_text("nesterov", "yes").flag("nesterov"));
  CHECK_FALSE(options.set_text("nesterov", "0").flag("nesterov"));
  CHECK(options.set_text("out", "").text("out").empty());
  CHECK(options.set_text("dropout", "1").number("dropout") == 1);
  CHECK(options.set_text("beta1", "0").number("beta1") == 0);
}

TEST_CASE("what cannot be read is refused in one line that names the option") {
  struct Case {
    const char *name, *text, *message;
  };
  const Case cases[] = {
      {"lr", "abc", "--lr: 'abc' is not a number"},
      {"lr", "", "--lr: '' is not a number"},
      {"lr", "1x", "--lr: '1x' is not a number"},
      {"lr", " 1", "--lr: ' 1' is not a number"},
      {"lr", "+-1", "--lr: '+-1' is not a number"},
      {"lr", "1e999", "--lr: 1e999 is too large or too small"},
      {"lr", "nan", "--lr: nan is not a finite number"},
      {"lr", "inf", "--lr: inf is not a finite number"},
      {"lr", "-1", "--lr: -1 is out of range [0, ∞)"},
      {"beta1", "1", "--beta1: 1 is out of range [0, 1)"},
      {"damping", "0", "--damping: 0 is out of range (0, ∞)"},
      {"dropout", "1.5", "--dropout: 1.5 is out of range [0, 1]"},
      {"weight-decay", "-inf", "--weight-decay: -inf is not a finite number"},
      {"batch-size", "0", "--batch-size: 0 is out of range [1, ∞)"},
      {"batch_size", "1.5", "--batch-size: '1.5' is not a whole number"},
      {"batch-size", "99999999999999999999", "--batch-size: 99999999999999999999 is too large or too small"},
      {"nesterov", "maybe", "--nesterov: 'maybe' is not true or false"},
      {"schedule", "cosin",
       "--schedule: unknown value 'cosin': did you mean 'cosine'? (known: constant, cosine, multistep)"},
  };
  Options options(table());
  for (const Case& bad : cases) {
    CHECK_THROWS_AS(options.set_text(bad.name, bad.text), UserError);
    CHECK_THROWS_WITH(options.set_text(bad.name, bad.text), bad.message);
  }
  CHECK_FALSE(options.was_set("lr"));
}

TEST_CASE("a value of another type is refused") {
  Options options(table());
  CHECK_THROWS_WITH(options.set("batch-size", 1.5), "--batch-size: '1.5' is not a whole number");
  CHECK_THROWS_WITH(options.set("lr", "fast"), "--lr: 'fast' is not a number");
  CHECK_THROWS_WITH(options.set("nesterov", std::int64_t{1}), "--nesterov: '1' is not true or false");
  CHECK_THROWS_WITH(options.set("out", true), "--out: 'true' is not text");
  CHECK_THROWS_WITH(options.set("lr", -0.5), "--lr: -0.5 is out of range [0, ∞)");
}

TEST_CASE("an unknown name is refused, with the nearest one") {
  Options options(table());
  CHECK_THROWS_AS(options.number("rate"), UserError);
  CHECK_THROWS_WITH(options.set("bata1", 0.5), ContainsSubstring("unknown option 'bata1': did you mean 'beta1'?"));
  CHECK_THROWS_WITH(options.set_text("weight_decy", "1"), ContainsSubstring("did you mean 'weight-decay'?"));

  const std::vector<std::string> names = {"sgd", "adam", "adamw", "adaact"};
  CHECK(nearest_name("adact", names) == "adaact");
  CHECK(nearest_name("adma", names) == "adam");
  CHECK(nearest_name("AdaAct", names) == "adaact");
  CHECK(nearest_name("rmsprop", names).empty());
  CHECK(nearest_name("x", {}).empty());
  CHECK(unknown_name("optimizer", "adact", names) ==
        "unknown optimizer 'adact': did you mean 'adaact'? (known: sgd, adam, adamw, adaact)");
  CHECK(unknown_name("optimizer", "rmsprop", names) == "unknown optimizer 'rmsprop' (known: sgd, adam, adamw, adaact)");
}

TEST_CASE("ranges describe themselves") {
  const OptionTable options = table();
  CHECK(find_option(options, "lr")->range_text() == "[0, ∞)");
  CHECK(find_option(options, "beta1")->range_text() == "[0, 1)");
  CHECK(find_option(options, "weight-decay")->range_text().empty());
  CHECK(find_option(options, "schedule")->range_text() == "constant|cosine|multistep");
  CHECK(find_option(options, "lr")->source == "a paper");
}

TEST_CASE("a table that declares an option twice is a mistake") {
  CHECK_THROWS_AS(Options({Option{"a-b", 1.0, ""}, Option{"a_b", 2.0, ""}}), InternalError);
}
