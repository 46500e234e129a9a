/// What a chat begins with: the system prompt the data shares, and questions out of it.
#include "core/base/error.h"
#include "core/run/queries.h"
#include "tests/support/support.h"

using namespace lorikeet;
using lorikeet::test::ScratchFolder;

namespace {

std::string row(const std::string& system, const std::string& user) {
  Json messages = Json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", user}});
  messages.push_back({{"role", "assistant"}, {"content", "yes"}});
  return dump_json(Json{{"messages", messages}}) + "\n";
}

}  // namespace

class ChatExamplesTest : public QObject {
  Q_OBJECT
 private slots:
  void takesTheSharedSystemPromptAndQuestionsFromAllOver() {
    const ScratchFolder folder;
    std::string text;
    for (int i = 0; i < 30; ++i) text += row("As JSON.", "question " + std::to_string(i));
    RunConfig c;
    c.data.train = {folder.write("a.jsonl", text)};
    const ChatExamples e = chat_examples(c, 3);
    QCOMPARE(e.system_prompt, std::string("As JSON."));
    QVERIFY(e.questions == (std::vector<std::string>{"question 0", "question 10", "question 20"}));
    QVERIFY(!e.held_out);
  }

  void prefersValidationDataAndTheConfigsOwnPrompt() {
    const ScratchFolder folder;
    RunConfig c;
    c.data.train = {folder.write("a.jsonl", row("", "seen"))};
    c.data.validation = {folder.write("b.jsonl", row("", "not seen"))};
    c.data.system_prompt = "Be brief.";
    const ChatExamples e = chat_examples(c, 3);
    QVERIFY(e.held_out);
    QCOMPARE(e.questions.at(0), std::string("not seen"));
    QCOMPARE(e.system_prompt, std::string("Be brief."));
  }

  void hasNoSystemPromptWhereTheChatsDiffer() {
    const ScratchFolder folder;
    RunConfig c;
    c.data.train = {folder.write("a.jsonl", row("one", "a") + row("two", "b") + row("two", "c"))};
    QCOMPARE(chat_examples(c, 2).system_prompt, std::string());
    QCOMPARE(chat_examples(c, 0).questions.size(), size_t(0));
  }

  void saysWhichFileIsMissing() {
    RunConfig c;
    c.data.train = {"/nowhere/a.jsonl"};
    QVERIFY_EXCEPTION_THROWN(chat_examples(c, 3), Error);
  }
};

LORIKEET_TEST_MAIN(ChatExamplesTest)
#include "chat_examples_test.moc"
