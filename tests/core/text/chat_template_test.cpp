// Chat templates against Hugging Face's own rendering (tests/tools/make_template_fixtures.py), and hostile ones.
#include <cstdlib>
#include <ctime>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/system.h"
#include "core/base/text.h"
#include "core/text/chat_template.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr double kNow = 1770091506;  // 2026-02-03 04:05:06 UTC, as the golden files have it

Json golden(const std::string& name) { return read_json_file(data_path("templates/" + name + ".golden.json")); }
std::string source_of(const std::string& name) { return read_file(data_path("templates/" + name)); }
const std::vector<std::string> kTemplates = {"chatml.jinja", "smollm_like.jinja", "qwen25_like.jinja", "qwen3_like.jinja", "llama31_like.jinja", "mistral_like.jinja",
                                             "gemma_like.jinja", "phi3_like.jinja", "phi4_like.jinja", "deepseek_like.jinja", "tool_macros_like.jinja", "blanks.jinja"};

struct Outcome {
  Rendered rendered;
  std::string error;  // empty: rendered
};
Outcome try_render(const std::string& source, const Json& variables) {
  try {
    return {ChatTemplate(source, "t.jinja").render(variables, kNow), {}};
  } catch (const InputError& e) {
    return {{}, e.what()};
  }
}

std::string render(const std::string& source, const Json& variables = Json::object()) { return ChatTemplate(source, "t.jinja").render(variables, kNow).text; }

}  // namespace

class ChatTemplateTest : public QObject {
  Q_OBJECT

  // Each row renders to the same text, or is an error in both.
  void compare_sources(const std::string& name, int at_least) {
    const Json rows = golden(name);
    const Json& variables = rows[0]["variables"];
    int checked = 0;
    for (size_t i = 1; i < rows.size(); ++i) {
      const std::string source = rows[i]["source"];
      const Outcome o = try_render(source, variables);
      if (rows[i].contains("error")) {
        QVERIFY2(!o.error.empty(), (source + ": must fail, gives " + o.rendered.text).c_str());
      } else {
        const std::string text = rows[i]["text"];
        QVERIFY2(o.error.empty() && o.rendered.text == text, (source + ": expected [" + text + "] found [" + o.rendered.text + "] " + o.error).c_str());
      }
      ++checked;
    }
    QVERIFY(checked >= at_least);
  }

 private slots:
  void initTestCase() {
    qputenv("TZ", "UTC");
    tzset();
  }

  void familiesRenderAsTheReference_data() {
    QTest::addColumn<QString>("name");
    for (const auto& n : kTemplates) QTest::newRow(n.c_str()) << QString::fromStdString(n);
  }
  void familiesRenderAsTheReference() {
    QFETCH(QString, name);
    const Json rows = golden("templates");
    const ChatTemplate t(source_of(name.toStdString()), name.toStdString());
    int checked = 0;
    for (const Json& row : rows) {
      if (row["template"] != name.toStdString()) continue;
      ++checked;
      const std::string where = row["chat"].get<std::string>() + " " + dump_json(row["variables"]).substr(0, 300);
      Rendered r;
      std::string error;
      try {
        r = t.render(row["variables"], kNow);
      } catch (const InputError& e) {
        error = e.what();
      }
      if (row.contains("error")) {
        QVERIFY2(!error.empty(), where.c_str());
        continue;
      }
      const std::string text = row["text"];
      QVERIFY2(error.empty() && r.text == text, (where + "\nexpected " + text + "\nfound " + r.text + error).c_str());
      QCOMPARE(r.generation.size(), row["generation"].size());
      for (size_t i = 0; i < r.generation.size(); ++i) {
        QCOMPARE(r.generation[i].begin, row["generation"][i][0].get<size_t>());
        QCOMPARE(r.generation[i].end, row["generation"][i][1].get<size_t>());
      }
    }
    QCOMPARE(checked, 44);
  }

  void expressionsEvaluateAsTheReference() { compare_sources("expressions", 400); }
  void statementsRunAsTheReference() { compare_sources("statements", 110); }
  void randomExpressionsEvaluateAsTheReference() { compare_sources("random", 600); }

  void errorsNameLineAndCause_data() {
    QTest::addColumn<QString>("source");
    QTest::addColumn<QString>("where");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* source, const char* where, const char* what) { QTest::newRow(source) << source << where << what; };
    row("a\nb\n{{ x | shout }}", "line 3", "shout");
    row("{{ x is weird }}", "line 1", "weird");
    row("\n{% include 'x' %}", "line 2", "include");
    row("{% for a in b recursive %}{% endfor %}", "line 1", "recursive");
    row("{% if x %}\n\n", "line 2", "endif");
    row("{{ 'a }}", "line 1", "not closed");
    row("\n\n{{ messages.x }}{{ nobody.x }}", "line 3", "nobody");
    row("{{ shout('a') }}", "line 1", "shout");
    row("{{ 1 % 0 }}", "line 1", "zero");
    row("{{ (0 - 9223372036854775807 - 1) // -1 }}", "line 1", "64 bits");
    row("{{ 9223372036854775807 + 1 }}", "line 1", "64 bits");
    row("{{ 9223372036854775808 }}", "line 1", "too large");
    row("{{ 10 ** 30 }}", "line 1", "64 bits");
    row("{{ raise_exception('roles must alternate') }}", "t.jinja", "roles must alternate");
  }
  void errorsNameLineAndCause() {
    QFETCH(QString, source);
    QFETCH(QString, where);
    QFETCH(QString, what);
    const Outcome o = try_render(source.toStdString(), {{"messages", Json::array()}, {"x", 1}, {"b", Json::array()}});
    QVERIFY2(o.error.find(where.toStdString()) != std::string::npos && o.error.find(what.toStdString()) != std::string::npos, o.error.c_str());
    QVERIFY(o.error.find("t.jinja") == 0);
  }

  void hostileTemplatesEndInAnError_data() {
    QTest::addColumn<QString>("source");
    const auto row = [](const char* name, const std::string& source) { QTest::newRow(name) << QString::fromStdString(source); };
    const auto times = [](const std::string& s, int n) {
      std::string out;
      for (int i = 0; i < n; ++i) out += s;
      return out;
    };
    row("loops in loops", "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}");
    row("empty loops", "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}");
    row("doubling a text", "{% set n = namespace(x='ab') %}{% for a in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}");
    row("doubling a list", "{% set n = namespace(x=[1]) %}{% for a in range(100) %}{% set n.x = n.x + n.x %}{% endfor %}");
    row("repeating", "{{ 'x' * 999999999999 }}");
    row("repeating a list", "{{ [1] * 99999999 }}");
    row("replace bomb", "{% set x = 'a' * 4000 %}{{ x|replace('a', x)|replace('a', x) }}");
    row("join bomb", "{{ range(99999)|join('a' * 100000) }}");
    row("indent bomb", "{{ ('a\\n' * 500000)|indent(100) }}");
    row("wide indent", "{{ 'a'|indent(1000000000) }}");
    row("json indent", "{{ [[1]]|tojson(indent=2000000000) }}");
    row("recursive macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
    row("two macros", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}");
    row("macro in blocks", "{% macro f() %}" + times("{% if true %}", 90) + "{{ f() }}" + times("{% endif %}", 90) + "{% endmacro %}{{ f() }}");
    row("list in itself", "{% set x = [] %}{{ x.append(x) }}{{ x }}");
    row("list in itself as JSON", "{% set x = [] %}{{ x.append(x) }}{{ x|tojson }}");
    row("list in itself compared", "{% set x = [] %}{% set y = [] %}{{ x.append(y) }}{{ y.append(x) }}{{ x == y }}");
    row("growing while visited", "{% set x = range(1000)|list %}{% for a in x %}{% for b in x %}{% for c in x %}{{ x.append(1) }}{% endfor %}{% endfor %}{% endfor %}");
    row("deep brackets", times("{{ (", 1) + times("(", 20000) + "1" + times(")", 20000) + " }}");
    row("deep lists", "{{ " + times("[", 5000) + times("]", 5000) + " }}");
    row("deep nots", "{{ " + times("not ", 20000) + "1 }}");
    row("deep signs", "{{ " + times("-", 20000) + "1 }}");
    row("deep blocks", times("{% if 1 %}", 5000) + times("{% endif %}", 5000));
    row("long sums", "{{ 1" + times(" + 1", 20000) + " }}");
    row("long attributes", "{{ x" + times(".a", 20000) + " }}");
    row("long filters", "{{ 1" + times("|string", 10000) + " }}");
    row("long conditions", "{{ 1" + times(" if 1 else 1", 10000) + " }}");
    row("power tower", "{{ 2" + times(" ** 9", 300) + " }}");
    row("many steps", "{% set n = namespace(i=0) %}{% for a in range(100000) %}{% set n.i = n.i + a * a % 7 %}{% set n.i = n.i + 1 %}{% set n.i = n.i - 1 %}{% endfor %}{% for a in range(100000) %}{{ a }}{% endfor %}");
    row("slices of a long text", "{% set x = 'a' * 1000000 %}{% for a in range(100000) %}{{ x[a:a+1] }}{% endfor %}");
    row("too long a source", std::string(300 * 1024, 'a'));
    row("long output", "{% set x = 'a' * 1000000 %}{% for a in range(100) %}{{ x }}{% endfor %}");
    row("sorting lists in lists", "{% set n = namespace(x=[1]) %}{% for a in range(300) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x == n.x }}{{ n.x }}");
  }
  void hostileTemplatesEndInAnError() {
    QFETCH(QString, source);
    const double start = monotonic_seconds();
    const uint64_t before = resident_bytes();
    const Outcome o = try_render(source.toStdString(), {{"x", 1}});
    QVERIFY2(!o.error.empty(), (o.rendered.text.substr(0, 100)).c_str());
    QVERIFY2(o.error.size() < 400, o.error.c_str());
    QVERIFY(monotonic_seconds() - start < 60);  // no hang, on a busy machine and under sanitizers too
#ifndef LORIKEET_SANITIZED
    QVERIFY(resident_bytes() < before + (512u << 20));
#endif
  }

  void everyTruncationIsParsedOrRefused_data() { familiesRenderAsTheReference_data(); }
  void everyTruncationIsParsedOrRefused() {
    QFETCH(QString, name);
    const std::string whole = source_of(name.toStdString());
    const Json variables = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
    int refused = 0;
    for (size_t n = 0; n < whole.size(); ++n) refused += !try_render(whole.substr(0, n), variables).error.empty();
    QVERIFY(refused > static_cast<int>(whole.size() / 3));
    for (size_t n = 0; n < whole.size(); n += 3) {
      std::string flipped = whole;
      flipped[n] = static_cast<char>(flipped[n] ^ (1 << n % 7));
      try_render(flipped, variables);
    }
  }

  void builtinAlpacaCarriesTheTwoPublishedPrompts() {
    // SHA-256 of the literal templates with {instruction} and {input} in braces.
    const std::string t = builtin_template("alpaca");
    const auto prompt = [&](const Json& user) { return render(t, {{"messages", {user}}, {"add_generation_prompt", false}}); };
    QCOMPARE(sha256_of_text(prompt({{"role", "user"}, {"content", "x"}, {"instruction", "{instruction}"}, {"input", "{input}"}})),
             std::string("28811e9850d9511bab334d167a03a8a37614535fdb28d645492efac8e9951c0f"));
    QCOMPARE(sha256_of_text(prompt({{"role", "user"}, {"content", "{instruction}"}})), std::string("35101bc36d10997c7d926d8f21f7d173aec6523f3a57d78821b944a89925cdca"));
  }

  void builtinTemplatesMarkTheAnswers() {
    const Json messages = {{{"role", "system"}, {"content", "S"}}, {{"role", "user"}, {"content", "U1"}}, {{"role", "assistant"}, {"content", "A1"}},
                           {{"role", "user"}, {"content", "U2"}}, {{"role", "assistant"}, {"content", "A2"}}};
    const Json v = {{"messages", messages}, {"eos_token", "</s>"}, {"add_generation_prompt", false}};
    const Rendered c = ChatTemplate(builtin_template("chatml"), "chatml").render(v);
    QCOMPARE(c.text, std::string("<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
                                 "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\nA2<|im_end|>\n"));
    QCOMPARE(c.generation.size(), size_t{2});
    QCOMPARE(c.text.substr(c.generation[1].begin, c.generation[1].end - c.generation[1].begin), std::string("A2<|im_end|>"));
    const Rendered a = ChatTemplate(builtin_template("alpaca"), "alpaca").render(v);
    QCOMPARE(a.generation.size(), size_t{2});
    QCOMPARE(a.text.substr(a.generation[0].begin, a.generation[0].end - a.generation[0].begin), std::string("A1</s>"));
    QVERIFY(a.text.starts_with("S\n\nBelow is") && a.text.ends_with("### Response:\nA2</s>"));
    const std::string asked = render(builtin_template("chatml"), {{"messages", {messages[1]}}, {"add_generation_prompt", true}});
    QCOMPARE(asked, std::string("<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\n"));
    VERIFY_THROWS(builtin_template("nothing"), ConfigError, "chatml, alpaca");
    QCOMPARE(builtin_template_names().size(), size_t{2});
  }

  void findsTheTemplateOfAFolder() {
    ScratchFolder f;
    QCOMPARE(chat_template_of_folder(f.path()), std::string());
    f.write("chat_template.json", R"({"chat_template":"three"})");
    QCOMPARE(chat_template_of_folder(f.path()), std::string("three"));
    f.write("tokenizer_config.json", R"({"chat_template":[{"name":"tool_use","template":"tools"},{"name":"default","template":"two"}]})");
    QCOMPARE(chat_template_of_folder(f.path()), std::string("two"));
    f.write("tokenizer_config.json", R"({"chat_template":"plain"})");
    QCOMPARE(chat_template_of_folder(f.path()), std::string("plain"));
    f.write("chat_template.jinja", "one");
    QCOMPARE(chat_template_of_folder(f.path()), std::string("one"));
    ScratchFolder bad;
    bad.write("tokenizer_config.json", R"({"chat_template":7})");
    VERIFY_THROWS(chat_template_of_folder(bad.path()), InputError, "chat_template");
  }
};

LORIKEET_TEST_MAIN(ChatTemplateTest)
#include "chat_template_test.moc"
