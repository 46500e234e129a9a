#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/run_config.h"
#include "core/data/dataset.h"
#include "tests/support/support.h"

using namespace lorikeet;

namespace {

// Rows are written with ' for ", which reads better here.
QByteArray quoted(const char* text) { return QByteArray(text).replace('\'', '"'); }

Json json(const QByteArray& text) { return parse_json(text.toStdString(), "test"); }

// One line a sample: what kind it is and what it holds.
std::string shown(const Sample& s) {
  switch (s.kind) {
    case SampleKind::chat: {
      std::string out = "chat";
      for (const Json& m : s.messages) {
        out += " | " + m["role"].get<std::string>() + ": " + m["content"].get<std::string>();
        if (m.contains("tool_calls")) out += " calls " + dump_json(m["tool_calls"]);
        if (m.contains("train")) out += " (not trained)";
      }
      return out + (s.tools.is_null() ? "" : " | tools " + dump_json(s.tools));
    }
    case SampleKind::completion: return "completion | " + s.prompt + " | " + s.completion;
    case SampleKind::text: return "text | " + s.completion;
    case SampleKind::tokens: return "tokens | " + dump_json(Json(s.ids)) + " | " + dump_json(Json(s.labels));
  }
  return {};
}

}  // namespace

class DatasetFormatsTest : public QObject {
  Q_OBJECT
 private slots:
  void reads_data() {
    QTest::addColumn<QString>("format");
    QTest::addColumn<QByteArray>("row");
    QTest::addColumn<QByteArray>("sample");
    const auto row = [](const char* what, const char* format, const char* text, const char* sample) {
      QTest::newRow(what) << format << quoted(text) << quoted(sample);
    };
    row("messages", "messages", "{'messages':[{'role':'system','content':'S'},{'role':'user','content':'U'},{'role':'assistant','content':'A'}]}",
        "chat | system: S | user: U | assistant: A");
    row("developer is system", "messages", "{'messages':[{'role':'developer','content':'S'},{'role':'user','content':'U'}]}", "chat | system: S | user: U");
    row("weight and train", "messages",
        "{'messages':[{'role':'assistant','content':'A','weight':0},{'role':'assistant','content':'B','weight':1},{'role':'assistant','content':'C','train':false}]}",
        "chat | assistant: A (not trained) | assistant: B | assistant: C (not trained)");
    row("parts", "messages", "{'messages':[{'role':'user','content':[{'type':'text','text':'a'},{'type':'text','text':'b'}]}]}", "chat | user: ab");
    row("tool calls", "messages",
        "{'messages':[{'role':'assistant','content':null,'tool_calls':[{'id':'1','type':'function','function':{'name':'f','arguments':'{\\'x\\':1}'}}]},{'role':'tool','tool_call_id':'1','content':'2'}],'tools':[{'type':'function'}]}",
        "chat | assistant:  calls [{'id':'1','type':'function','function':{'name':'f','arguments':{'x':1}}}] | tool: 2 | tools [{'type':'function'}]");
    row("messages as JSON text", "messages", "{'messages':'[{\\'role\\':\\'user\\',\\'content\\':\\'U\\'}]'}", "chat | user: U");
    row("sharegpt", "sharegpt", "{'system':'S','conversations':[{'from':'human','value':'U'},{'from':'gpt','value':'A'}]}",
        "chat | system: S | user: U | assistant: A");
    row("sharegpt with its own system", "sharegpt", "{'system':'X','conversations':[{'from':'system','value':'S'},{'from':'human','value':'U'}]}",
        "chat | system: S | user: U");
    row("sharegpt tools", "sharegpt",
        "{'tools':'[{\\'name\\':\\'f\\'}]','conversations':[{'from':'function_call','value':'{\\'name\\':\\'f\\',\\'arguments\\':{\\'x\\':1}}'},{'from':'observation','value':'2'}]}",
        "chat | assistant:  calls [{'type':'function','function':{'name':'f','arguments':{'x':1}}}] | tool: 2 | tools [{'name':'f'}]");
    row("function call that is no JSON", "sharegpt", "{'conversations':[{'from':'function_call','value':'call f'}]}", "chat | assistant: call f");
    row("role and content in conversations", "sharegpt", "{'conversations':[{'role':'user','content':'U'}]}", "chat | user: U");
    row("alpaca", "alpaca", "{'instruction':'I','input':'','output':'O'}", "chat | user: I | assistant: O");
    row("alpaca with input", "alpaca", "{'instruction':'I','input':'X','output':'O'}", "chat | user: I\nX | assistant: O");
    row("alpaca with system and history", "alpaca", "{'instruction':'I','output':'O','system':'S','history':[['a','b']]}",
        "chat | system: S | user: a | assistant: b | user: I | assistant: O");
    row("dolly", "alpaca", "{'instruction':'I','context':'X','response':'O','category':'c'}", "chat | user: I\nX | assistant: O");
    row("instances", "alpaca", "{'instruction':'I','instances':[{'input':'X','output':'1'},{'input':'','output':'2'}]}",
        "chat | user: I\nX | assistant: 1\nchat | user: I | assistant: 2");
    row("prompt and completion", "prompt_completion", "{'prompt':'P ','completion':'C'}", "completion | P  | C");
    row("context and target", "prompt_completion", "{'context':'P','target':'C'}", "completion | P | C");
    row("prompt and tool call", "prompt_completion", "{'prompt':'P','tool_call':{'name':'f','arguments':{'x':0.5}}}",
        "completion | P | {'name':'f','arguments':{'x':0.5}}");
    row("message lists", "prompt_completion",
        "{'prompt':[{'role':'user','content':'U'},{'role':'assistant','content':'A'},{'role':'user','content':'V'}],'completion':[{'role':'assistant','content':'B'}]}",
        "chat | user: U | assistant: A (not trained) | user: V | assistant: B");
    row("question and answer", "question_answer", "{'question':'Q','answer':'A'}", "chat | user: Q | assistant: A");
    row("query and response", "question_answer", "{'query':'Q','response':'A'}", "chat | user: Q | assistant: A");
    row("text", "text", "{'text':' T\\n'}", "text |  T\n");
    row("tokens", "tokens", "{'input_ids':[1,2,3],'labels':[-100,2,3]}", "tokens | [1,2,3] | [-100,2,3]");
    row("tokens without labels", "tokens", "{'input_ids':[1,2]}", "tokens | [1,2] | [1,2]");
    row("message tree", "message_tree",
        "{'prompt':{'role':'prompter','text':'Q','replies':[{'role':'assistant','text':'worse','rank':1,'replies':[]},{'role':'assistant','text':'best','rank':0,'replies':[{'role':'prompter','text':'R','replies':[{'role':'assistant','text':'B','replies':[]}]},{'role':'prompter','text':'S','replies':[{'role':'assistant','text':'C','replies':[]}]},{'role':'prompter','text':'unanswered','replies':[]}]}]}}",
        "chat | user: Q | assistant: best | user: R | assistant: B\nchat | user: Q | assistant: best (not trained) | user: S | assistant: C");
  }
  void reads() {
    QFETCH(QString, format);
    QFETCH(QByteArray, row);
    QFETCH(QByteArray, sample);
    const DatasetFormat* f = dataset_formats().get(format.toStdString());
    QCOMPARE(std::string(f->name()), format.toStdString());
    QVERIFY(f->recognises(json(row)).has_value());
    std::string out;
    for (const auto& s : f->read(json(row))) out += (out.empty() ? "" : "\n") + shown(s);
    QCOMPARE(out, sample.toStdString());
  }
  void refuses_data() {
    QTest::addColumn<QString>("format");
    QTest::addColumn<QByteArray>("row");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* what, const char* format, const char* text, const char* part) {
      QTest::newRow(what) << format << quoted(text) << part;
    };
    row("no messages", "messages", "{'text':'x'}", "has no \"messages\"");
    row("messages empty", "messages", "{'messages':[]}", "is empty");
    row("message no object", "messages", "{'messages':['x']}", "messages[0] is no object");
    row("no role", "messages", "{'messages':[{'content':'x'}]}", "messages[0] has no \"role\"");
    row("role unknown", "messages", "{'messages':[{'role':'user','content':'x'},{'role':'boss','content':'x'}]}", "messages[1] has the role \"boss\"");
    row("no content", "messages", "{'messages':[{'role':'user'}]}", "messages[0] has no \"content\"");
    row("content a number", "messages", "{'messages':[{'role':'user','content':5}]}", "neither a text nor a list of parts");
    row("image", "messages", "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':'x'}]}]}", "part of type \"image_url\"");
    row("weight", "messages", "{'messages':[{'role':'assistant','content':'x','weight':0.5}]}", "\"weight\" must be 0 or 1");
    row("train", "messages", "{'messages':[{'role':'assistant','content':'x','train':'no'}]}", "neither true nor false");
    row("tool call without name", "messages", "{'messages':[{'role':'assistant','tool_calls':[{'function':{}}]}]}", "has no name");
    row("messages text that is no JSON", "messages", "{'messages':'[{'}", "cannot be read");
    row("tools no list", "messages", "{'messages':[{'role':'user','content':'x'}],'tools':5}", "\"tools\" is no list but a number");
    row("value missing", "sharegpt", "{'conversations':[{'from':'human'}]}", "has no \"value\"");
    row("output missing", "alpaca", "{'instruction':'x'}", "has no \"output\"");
    row("output a number", "alpaca", "{'instruction':'x','output':5}", "\"output\" is no text but a number");
    row("history", "alpaca", "{'instruction':'x','output':'y','history':[['a']]}", "\"history\"");
    row("instances empty", "alpaca", "{'instruction':'x','instances':[]}", "is empty");
    row("completion missing", "prompt_completion", "{'prompt':'x'}", "has no \"completion\"");
    row("mixed", "prompt_completion", "{'prompt':'x','completion':[]}", "\"completion\" is no text but a list");
    row("answer missing", "question_answer", "{'query':'x'}", "has no \"response\"");
    row("text empty", "text", "{'text':' \\n'}", "is empty");
    row("text null", "text", "{'text':null}", "has no \"text\"");
    row("ids and labels", "tokens", "{'input_ids':[1,2],'labels':[1]}", "\"labels\" has 1 entries, \"input_ids\" 2");
    row("ids negative", "tokens", "{'input_ids':[1,-2]}", "input_ids[1] is -2");
    row("ids huge", "tokens", "{'input_ids':[99999999999]}", "input_ids[0]");
    row("ids unsigned", "tokens", "{'input_ids':[18446744073709551615]}", "input_ids[0]");
    row("ids fraction", "tokens", "{'input_ids':[1.5]}", "input_ids[0] is 1.5");
    row("labels", "tokens", "{'input_ids':[1],'labels':[-1]}", "a token id or -100");
    row("ids empty", "tokens", "{'input_ids':[]}", "is empty");
    row("tree without answer", "message_tree", "{'prompt':{'role':'prompter','text':'Q','replies':[]}}", "has no answer");
  }
  void refuses() {
    QFETCH(QString, format);
    QFETCH(QByteArray, row);
    QFETCH(QString, part);
    VERIFY_THROWS(dataset_formats().get(format.toStdString())->read(json(row)), RunError, part.toStdString());
  }
  void settingOffersExactlyTheFormats() {
    std::vector<std::string> names = {"auto"};
    for (const auto& n : dataset_formats().names()) names.push_back(n);
    QCOMPARE(std::string(find_field("data.format")->choices), join(names, "|"));
  }
};

LORIKEET_TEST_MAIN(DatasetFormatsTest)
#include "dataset_formats_test.moc"
