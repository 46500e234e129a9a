// A GGUF adapter is the PEFT adapter it was made from: same tensors, same scale, same logits; what it cannot be is
// refused by name.
#include <cstring>
#include <functional>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/export/exporter.h"
#include "core/io/adapter_files.h"
#include "core/io/gguf.h"
#include "core/io/inspect.h"
#include "core/io/model_files.h"
#include "core/ops/cpu_kernels.h"
#include "tests/core/io/file_makers.h"
#include "tests/support/support.h"

using namespace lorikeet;
using namespace lorikeet::test;

namespace {

constexpr const char* kA = "blk.0.attn_q.weight.lora_a";
constexpr const char* kB = "blk.0.attn_q.weight.lora_b";

std::string models_path(const std::string& name) { return data_path("models/" + name); }

GgufMaker empty_adapter(float alpha = 4) {
  GgufMaker m;
  m.string("general.architecture", "llama").string("general.type", "adapter").string("adapter.type", "lora");
  return alpha < 0 ? m : m.f32("adapter.lora.alpha", alpha);
}

std::string bytes_of(const Tensor& t) { return {static_cast<const char*>(t.raw()), t.bytes()}; }

/// As llama.cpp's converter does it: HF row h*D + b*D/2 + j of q and k goes to row h*D + 2j + b.
Tensor in_gguf_order(const Tensor& b, int64_t head_dim) {
  Tensor out = Tensor::empty(b.shape(), b.dtype());
  int64_t to = 0;
  for (int64_t head = 0; head < b.dim(0); head += head_dim)
    for (int64_t j = 0; j < head_dim / 2; ++j)
      for (int64_t half = 0; half < 2; ++half, ++to)
        std::memcpy(out.row<float>(to), b.row<float>(head + half * head_dim / 2 + j),
                    static_cast<size_t>(b.dim(1)) * sizeof(float));
  return out;
}

/// The PEFT fixture as a GGUF.
std::string as_gguf(const AdapterFiles& adapter, int64_t head_dim, float alpha) {
  GgufMaker m = empty_adapter(alpha);
  for (const auto& [name, tensor] : adapter.tensors) {
    const std::string module =
        name.substr(std::strlen("base_model.model."), name.rfind(".lora_") - std::strlen("base_model.model."));
    const bool is_b = name.ends_with("lora_B.weight"),
               rotary = module.ends_with("q_proj") || module.ends_with("k_proj");
    const Tensor values = tensor.to(DType::f32);
    m.tensor_of(gguf_name_of(module + ".weight") + (is_b ? ".lora_b" : ".lora_a"), {tensor.dim(1), tensor.dim(0)}, 0,
                bytes_of(is_b && rotary ? in_gguf_order(values, head_dim) : values));
  }
  return m.bytes();
}

Tensor logits_with(Context& cx, Model& model, const AdapterFiles& adapter) {
  attach_adapter(model, adapter, "adapter");
  TokenBatch batch;
  batch.ids = {1, 5, 9, 3, 4, 4, 7};
  batch.positions = {0, 1, 2, 3, 4, 5, 6};
  batch.document_starts = {0, 7};
  Tape tape(cx, false);
  return logits_of(cx, model, model.forward(tape, batch, {})->value);
}

const Tensor& tensor_named(const AdapterFiles& adapter, const std::string& name) {
  for (const auto& [n, tensor] : adapter.tensors)
    if (n == "base_model.model." + name) return tensor;
  throw std::runtime_error("no tensor " + name);
}

}  // namespace

class GgufAdapterTest : public QObject {
  Q_OBJECT
  ScratchFolder scratch_;
  AdapterFiles read(const GgufMaker& m) const { return read_adapter(scratch_.write("a.gguf", m.bytes())); }

 private slots:
  void initTestCase() { register_cpu_kernels(); }

  void isThePeftAdapterItWasMadeFrom() {
    Context cx(2);
    const auto model = load_model(*open_model(models_path("tiny-llama")), cx, {}, {});
    AdapterFiles peft = read_adapter(models_path("tiny-llama-lora"));
    const std::string path = scratch_.write("tiny.bin", as_gguf(peft, model->config().head_dim, 6));
    AdapterFiles gguf = read_adapter(path);
    QVERIFY(gguf.gguf_rows);
    peft.spec.alpha = 6;  // a GGUF has one
    peft.spec.alpha_pattern.clear();
    peft.spec.rslora = false;
    const Tensor wanted = logits_with(cx, *model, peft);
    QCOMPARE(max_abs_difference(logits_with(cx, *model, gguf), wanted), 0.0);
    put_rows_in_hf_order(gguf, model->config(), path);
    QVERIFY(!gguf.gguf_rows);
    QCOMPARE(gguf.tensors.size(), peft.tensors.size());
    for (const auto& [name, tensor] : peft.tensors)
      QVERIFY2(bytes_of(tensor_named(gguf, name.substr(std::strlen("base_model.model.")))) == bytes_of(tensor),
               name.c_str());
    QCOMPARE(max_abs_difference(logits_with(cx, *model, gguf), wanted), 0.0);
  }

  void exportsToPeft() {
    const AdapterFiles peft = read_adapter(models_path("tiny-llama-lora"));
    ExportInput input;
    input.base = open_model(models_path("tiny-llama"));
    input.adapter = scratch_.write("export.gguf", as_gguf(peft, input.base->config().head_dim, 6));
    input.out = scratch_.path("exported");
    QCOMPARE(exporters().get("peft")(input, {}).size(), size_t{2});
    const AdapterFiles back = read_adapter(input.out);
    for (const auto& [name, tensor] : peft.tensors)
      QVERIFY(bytes_of(tensor_named(back, name.substr(std::strlen("base_model.model.")))) == bytes_of(tensor));
    QVERIFY(!back.spec.base_model_name.empty());
    input.out = scratch_.path("other");
    input.base = nullptr;
    VERIFY_THROWS(exporters().get("peft")(input, {}), UsageError, "base model");
    QVERIFY(!fs::exists(input.out));
  }

  void givesEachModuleItsRankAndScale() {
    GgufMaker m = empty_adapter(6);
    m.tensor("blk.0.ffn_up.weight.lora_a", {8, 3}).tensor("blk.0.ffn_up.weight.lora_b", {3, 8});
    m.tensor("blk.10.ffn_up.weight.lora_a", {8, 3}).tensor("blk.10.ffn_up.weight.lora_b", {3, 8});
    m.tensor("blk.0.ffn_down.weight.lora_a", {8}).tensor("blk.0.ffn_down.weight.lora_b", {1, 8});  // rank 1
    const AdapterSpec spec = read(m).spec;
    QCOMPARE(spec.rank, int64_t{3});
    QCOMPARE(adapter_scale(spec, "model.layers.0.mlp.up_proj"), 2.0);
    QCOMPARE(adapter_scale(spec, "model.layers.10.mlp.up_proj"), 2.0);
    QCOMPARE(adapter_scale(spec, "model.layers.0.mlp.down_proj"), 6.0);
    QCOMPARE(spec.target_modules.size(), size_t{3});
    for (const float alpha : {0.0f, -1.0f}) {  // 0, and none in the file
      GgufMaker none = empty_adapter(alpha);
      none.tensor(kA, {8, 2}).tensor(kB, {2, 8});
      none.tensor("blk.0.ffn_up.weight.lora_a", {8, 4}).tensor("blk.0.ffn_up.weight.lora_b", {4, 8});
      const AdapterSpec one = read(none).spec;
      QCOMPARE(adapter_scale(one, "model.layers.0.self_attn.q_proj"), 1.0);
      QCOMPARE(adapter_scale(one, "model.layers.0.mlp.up_proj"), 1.0);
    }
  }

  void readsItsFourTypes() {
    std::string f16, bf16, q8;
    for (int i = 0; i < 64; ++i) put<uint16_t>(f16, 0x3c00);   // 1
    for (int i = 0; i < 64; ++i) put<uint16_t>(bf16, 0x4000);  // 2
    for (int block = 0; block < 2; ++block) {
      put<uint16_t>(q8, 0x3800);  // 0.5
      for (int i = 0; i < 32; ++i) put<int8_t>(q8, static_cast<int8_t>(i - 16));
    }
    GgufMaker m = empty_adapter();
    m.tensor_of("blk.0.ffn_up.weight.lora_a", {32, 2}, 1, f16)
        .tensor_of("blk.0.ffn_up.weight.lora_b", {2, 32}, 30, bf16);
    m.tensor_of("blk.0.ffn_down.weight.lora_a", {32, 2}, 8, q8).tensor("blk.0.ffn_down.weight.lora_b", {2, 8});
    const AdapterFiles a = read(m);
    QVERIFY(tensor_named(a, "model.layers.0.mlp.up_proj.lora_A.weight").dtype() == DType::f16);
    QCOMPARE(tensor_named(a, "model.layers.0.mlp.up_proj.lora_A.weight").to(DType::f32).data<float>()[5], 1.0f);
    QCOMPARE(tensor_named(a, "model.layers.0.mlp.up_proj.lora_B.weight").to(DType::f32).data<float>()[5], 2.0f);
    const Tensor& q = tensor_named(a, "model.layers.0.mlp.down_proj.lora_A.weight");
    QCOMPARE(q.data<float>()[0], -8.0f);
    QCOMPARE(q.data<float>()[63], 7.5f);
    const Json j = inspect_file_or_folder(scratch_.path("a.gguf"));
    QCOMPARE(j["formats"]["Q8_0"]["tensors"].get<int>(), 1);
    QCOMPARE(j["rank"].get<int>(), 2);
  }

  void saysWhatItPassesOver() {
    GgufMaker m = small_gguf_adapter();
    m.tensor("blk.0.attn_norm.weight", {8});
    const AdapterFiles a = read(m);
    QCOMPARE(a.tensors.size(), size_t{4});
    QCOMPARE(a.warnings.size(), size_t{1});
    QVERIFY(inspect_file_or_folder(scratch_.path("a.gguf"))["warnings"].size() == 1);
  }

  void namesItsBaseOnTheHub() {
    const auto base = [&](const char* url) {
      return QString::fromStdString(
          read(small_gguf_adapter().string("general.base_model.0.repo_url", url)).spec.base_model_name);
    };
    QCOMPARE(base("https://huggingface.co/org/small-llama"), QString("org/small-llama"));
    for (const char* other : {"https://example.org/org/x", "https://huggingface.co/../x",
                              "https://huggingface.co//etc/passwd", "https://huggingface.co/"})
      QCOMPARE(base(other), QString());
  }

  void refuses_data() {
    QTest::addColumn<QByteArray>("file");
    QTest::addColumn<QString>("part");
    const auto row = [](const char* name, const GgufMaker& m, const char* part) {
      QTest::newRow(name) << QByteArray::fromStdString(m.bytes()) << part;
    };
    const auto kind = [](const char* architecture, const char* type, const char* adapter) {
      GgufMaker m;
      m.f32("adapter.lora.alpha", 4);
      if (*architecture) m.string("general.architecture", architecture);
      if (*type) m.string("general.type", type);
      if (*adapter) m.string("adapter.type", adapter);
      return m.tensor(kA, {8, 2}).tensor(kB, {2, 8});
    };
    row("a model", small_llama(), "general.type: this is a model, not an adapter");
    row("no type", kind("llama", "", "lora"), "general.type");
    row("another type", kind("llama", "imatrix", "lora"), "general.type: \"imatrix\"");
    row("no architecture", kind("", "adapter", "lora"), "general.architecture: is missing");
    row("another architecture", kind("qwen2", "adapter", "lora"), "general.architecture: \"qwen2\"");
    row("no kind", kind("llama", "adapter", ""), "adapter.type: is missing");
    row("another kind", kind("llama", "adapter", "control"), "adapter.type: \"control\"");
    row("activated", small_gguf_adapter().u32("adapter.alora.invocation_tokens", 3), "aLoRA");
    row("a part", small_gguf_adapter().u32("split.count", 2), "split.count");
    row("alpha of text", empty_adapter(-1).string("adapter.lora.alpha", "4").tensor(kA, {8, 2}).tensor(kB, {2, 8}),
        "adapter.lora.alpha");
    row("alpha not finite",
        empty_adapter(-1)
            .f32("adapter.lora.alpha", std::numeric_limits<float>::quiet_NaN())
            .tensor(kA, {8, 2})
            .tensor(kB, {2, 8}),
        "adapter.lora.alpha");
    row("no tensor", empty_adapter(), "holds no tensor");
    row("norms only", empty_adapter().tensor("blk.0.attn_norm.weight", {8}), "holds no tensor");
    row("b is missing", empty_adapter().tensor(kA, {8, 2}), "tensor blk.0.attn_q.weight.lora_a: has no other half");
    row("a is missing", empty_adapter().tensor(kB, {2, 8}), "tensor blk.0.attn_q.weight.lora_b: has no other half");
    row("two ranks", empty_adapter().tensor(kA, {8, 2}).tensor(kB, {3, 8}), "has rank 2, its other half has rank 3");
    row("rank too large", empty_adapter().tensor(kA, {1, 65537}).tensor(kB, {65537, 1}), "has rank 65537");
    row("not finite", empty_adapter().tensor(kA, {8, 2}).tensor(kB, {2, 8}, std::numeric_limits<float>::infinity()),
        "lora_b: value 0 is not finite");
    row("a vector", empty_adapter().tensor(kA, {8, 2}).tensor(kB, {8}), "a matrix is wanted");
    row("three axes", empty_adapter().tensor(kA, {8, 2, 1}).tensor(kB, {2, 8}), "a matrix is wanted");
    row("empty", empty_adapter().tensor(kA, {8, 0}).tensor(kB, {0, 8}), "a matrix is wanted");
    row("type Q4_0", empty_adapter().tensor_of(kA, {32, 1}, 2, std::string(18, '\0')).tensor(kB, {1, 8}),
        "has the type Q4_0");
    std::string q8(34, '\0');
    q8[1] = 0x7c;  // the scale is infinite
    row("Q8_0 not finite", empty_adapter().tensor_of(kA, {32, 1}, 8, q8).tensor(kB, {1, 8}), "the scale of value 0");
    const auto named = [&](const char* name, const char* part) {
      row(name, small_gguf_adapter().tensor(name, {8, 2}), part);
    };
    named("token_embd.weight.lora_a", "embedding and the output head");
    named("output.weight.lora_b", "embedding and the output head");
    named("blk.0.attn_q.weight", "ends in neither");
    named("blk.0.attn_q.bias.lora_a", "no linear layer");
    named("blk.0.attn_norm.weight.lora_a", "no linear layer");
    named("blk.0.ssm_in.weight.lora_a", "no linear layer");
    named("blk.x.attn_q.weight.lora_a", "no linear layer");
    named(".lora_a", "no linear layer");
    named("blk.1024.attn_q.weight.lora_a", "no model has a block of that number");
    named("blk.0.\x1b[31m.weight.lora_a", "no linear layer");
  }
  void refuses() {
    QFETCH(QByteArray, file);
    QFETCH(QString, part);
    const std::string path = scratch_.write("a.gguf", file.toStdString());
    VERIFY_THROWS(read_adapter(path), InputError, part.toStdString());
    try {
      read_adapter(path);
    } catch (const InputError& e) {
      const std::string text = e.what();
      QVERIFY2(text.size() <= 300 && text.find("a.gguf") != std::string::npos, e.what());
      QCOMPARE(e.exit_code(), 3);
      QVERIFY(text.find('\x1b') == std::string::npos && text.find('\n') == std::string::npos);
    }
  }

  void refusesEveryCut() {
    const std::string whole = small_gguf_adapter().bytes();
    for (size_t n = 0; n < whole.size(); ++n) {
      const std::string path = scratch_.write("cut.gguf", whole.substr(0, n));
      try {
        read_adapter(path);
        QFAIL(qPrintable(QString("accepted after %1 of %2 bytes").arg(n).arg(whole.size())));
      } catch (const InputError& e) {
        QVERIFY(std::string(e.what()).size() <= 300);
      }
    }
    QCOMPARE(read_adapter(scratch_.write("cut.gguf", whole)).tensors.size(), size_t{4});
  }

  void refusesAnotherModelsAdapter() {
    Context cx(1);
    const auto model = load_model(*open_model(models_path("tiny-llama")), cx, {}, {});
    AdapterFiles other = read(small_gguf_adapter());
    VERIFY_THROWS(attach_adapter(*model, other, "a.gguf"), InputError, "made for another model");
    VERIFY_THROWS(put_rows_in_hf_order(other, model->config(), "a.gguf"), InputError,
                  "tensor blk.0.attn_q.weight.lora_b: has 8 outputs");
    GgufMaker deep = empty_adapter();
    deep.tensor("blk.900.ffn_up.weight.lora_a", {8, 2}).tensor("blk.900.ffn_up.weight.lora_b", {2, 8});
    VERIFY_THROWS(attach_adapter(*model, read(deep), "a.gguf"), InputError, "no linear layer");
  }

  void takesNoOtherFile() {
    VERIFY_THROWS(read_adapter(scratch_.write("x.gguf", "GGU")), InputError, "GGUF adapter");
    VERIFY_THROWS(read_adapter(scratch_.write("x.gguf", "")), InputError, "GGUF adapter");
    VERIFY_THROWS(read_adapter(scratch_.path("none.gguf")), InputError, "no such file");
  }
};

LORIKEET_TEST_MAIN(GgufAdapterTest)
#include "gguf_adapter_test.moc"
