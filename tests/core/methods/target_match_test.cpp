#include "core/methods/target_match.h"

#include "core/base/error.h"
#include "core/models/model.h"
#include "tests/core/models/tiny_model.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

std::vector<std::string> picked(const std::vector<std::string>& targets, bool pattern = false) {
  AdapterSpec spec;
  spec.target_modules = targets;
  spec.target_is_pattern = pattern;
  std::vector<std::string> out;
  for (const LinearShape& s : matched_modules(linear_shapes(tiny_config()), spec)) out.push_back(s.name);
  return out;
}
const std::string kFirst = "model.layers.0.", kSecond = "model.layers.1.";

}  // namespace

class TargetMatchTest : public QObject {
  Q_OBJECT
 private slots:
  void allLinearIsEveryBlockLinear() {
    QCOMPARE(picked({"all-linear"}).size(), size_t{14});
    QCOMPARE(picked({"All-Linear"}, true).size(), size_t{14});
  }
  void entriesAreFullNamesOrEndings() {
    QVERIFY(
        (picked({"q_proj"}) == std::vector<std::string>{kFirst + "self_attn.q_proj", kSecond + "self_attn.q_proj"}));
    QVERIFY((picked({"1.mlp.up_proj", kFirst + "mlp.up_proj"}) ==
             std::vector<std::string>{kFirst + "mlp.up_proj", kSecond + "mlp.up_proj"}));
    // An ending counts only from a dot on; entries are not patterns.
    VERIFY_THROWS(picked({"proj"}), ConfigError, "matches no module");
    VERIFY_THROWS(picked({"q_pro."}), ConfigError, "self_attn.q_proj, self_attn.k_proj");
    // An entry that finds nothing is harmless beside one that does, as in PEFT.
    QCOMPARE(picked({"q_proj", "c_attn"}).size(), size_t{2});
  }
  void namesThatDoNothingAreFound() {
    AdapterSpec spec;
    spec.target_modules = {"q_proj", "c_attn"};
    spec.rank_pattern = {{"q_proj", 4}, {"down_proj", 2}};
    spec.alpha_pattern = {{"layers.1.*", 8}};
    const auto idle = idle_names(linear_shapes(tiny_config()), spec);
    QCOMPARE(idle.size(), size_t{2});
    QCOMPARE(idle[0].name, std::string("c_attn"));
    QCOMPARE(idle[1].key, std::string("adapter.rank_pattern"));
    QCOMPARE(idle[1].name, std::string("down_proj"));
    spec = {};
    spec.target_modules = {"all-linear"};
    QVERIFY(idle_names(linear_shapes(tiny_config()), spec).empty());
  }
  void aPatternMustMatchTheWholeName() {
    QCOMPARE(picked({".*\\.(q|v)_proj"}, true).size(), size_t{4});
    VERIFY_THROWS(picked({"q_proj"}, true), ConfigError, "matches no module");
    VERIFY_THROWS(picked({"model\\.layers\\.0"}, true), ConfigError, "matches no module");
    QVERIFY((picked({"model\\.layers\\.1\\.(?!mlp).*o_proj"}, true) ==
             std::vector<std::string>{kSecond + "self_attn.o_proj"}));
    // Alternatives of different length: the whole-name rule decides, not the first that fits.
    QCOMPARE(picked({".*\\.(q|q_proj)"}, true).size(), size_t{2});
  }
  void saysWhatIsWrongWithAPattern() {
    VERIFY_THROWS(picked({"model.(layers"}, true), ConfigError, "not a valid pattern");
    VERIFY_THROWS(picked({"(([a-z._0-9]+)+)+[A-Z]"}, true), ConfigError, "simplify the pattern");
    VERIFY_THROWS(picked({std::string(100000, 'a')}, true), ConfigError, "64 KiB");
    VERIFY_THROWS(picked({}), ConfigError, "empty");
    VERIFY_THROWS(picked({"q_proj", "lm_head"}), UnsupportedError, "lm_head");
  }
};

LORIKEET_TEST_MAIN(TargetMatchTest)
#include "target_match_test.moc"
