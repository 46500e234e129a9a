// The field table: every key of the configuration with its limits, its label and one sentence of help.
// A new setting is one member in run_config.h and one row here; JSON, --set, --help and the form follow.
#include <array>

#include "core/config/run_config.h"

namespace lorikeet {
namespace {

constexpr double kMany = 1e12;               // more steps, rows or tokens than any run has
constexpr double kExact = 9007199254740991;  // 2^53 - 1: the largest whole number every JSON reader keeps
constexpr auto kMain = FieldLevel::main;
constexpr auto kAdvanced = FieldLevel::advanced;

#define LORIKEET_FIELD(section, member) [](RunConfig& c) -> FieldRef { return &c.section.member; }

const std::array kFields = {
    Field{"model.path", LORIKEET_FIELD(model, path), 0, 0, "", "", kMain, "Model",
          "The base model: a folder, a .gguf file or a hub id; empty takes the default model."},
    Field{"model.revision", LORIKEET_FIELD(model, revision), 0, 0, "", "", kAdvanced, "Revision",
          "Branch, tag or commit of a hub model; empty takes its main branch."},

    Field{"data.train", LORIKEET_FIELD(data, train), 0, 0, "", "", kMain, "Training data",
          "Files or folders to learn from; empty takes the sample set."},
    Field{"data.validation", LORIKEET_FIELD(data, validation), 0, 0, "", "", kAdvanced, "Validation data",
          "Files only measured, never learned from; empty holds back a share of the training data."},
    Field{"data.validation_fraction", LORIKEET_FIELD(data, validation_fraction), 0, 0.9, "", "", kAdvanced,
          "Share held back", "Part of the training data kept for measuring when there are no validation files."},
    Field{"data.format", LORIKEET_FIELD(data, format), 0, 0,
          "auto|messages|sharegpt|alpaca|prompt_completion|question_answer|text|tokens|message_tree", "", kAdvanced,
          "Format", "The shape of the rows; auto recognises it from their content and says how."},
    Field{"data.template", LORIKEET_FIELD(data, template_name), 0, 0, "", "", kAdvanced, "Chat template",
          "How a conversation becomes text: auto takes the model's own, else chatml, alpaca or a .jinja file."},
    Field{"data.train_on", LORIKEET_FIELD(data, train_on), 0, 0, "responses|all", "", kMain, "Train on",
          "Responses: only the assistant's words count towards the loss; all: every token does."},
    Field{"data.max_length", LORIKEET_FIELD(data, max_length), 2, 1048576, "", "tokens", kMain, "Longest text",
          "Longest sample, and the row length when packing; memory grows with this."},
    Field{"data.on_long", LORIKEET_FIELD(data, on_long), 0, 0, "truncate|drop|split", "", kAdvanced, "Longer texts",
          "What happens to samples above the longest text: cut off, left out, or cut into several."},
    Field{"data.packing", LORIKEET_FIELD(data, packing), 0, 0, "", "", kAdvanced, "Packing",
          "Fills each row with several samples that do not see each other; faster when samples are short."},
    Field{"data.limit", LORIKEET_FIELD(data, limit), 0, kMany, "", "rows", kAdvanced, "Rows at most",
          "Reads only this many rows, for a quick trial; 0 reads all."},
    Field{"data.shuffle", LORIKEET_FIELD(data, shuffle), 0, 0, "", "", kAdvanced, "Shuffle",
          "Draws a new order of the samples for every epoch from the seed."},
    Field{"data.system_prompt", LORIKEET_FIELD(data, system_prompt), 0, 0, "", "", kAdvanced, "System prompt",
          "Put before every conversation that has no system message of its own."},

    Field{"quantization.format", LORIKEET_FIELD(quantization, format), 0, 0,
          "nf4|nf3|nf2|fp4|int8|int4|int3|int2|bf16|f16|f32|keep", "", kMain, "Base precision",
          "How the frozen base model is held in memory; nf4 keeps quality at 4 bits, keep takes the file as it is."},
    Field{"quantization.double_quant", LORIKEET_FIELD(quantization, double_quant), 0, 0, "", "", kAdvanced,
          "Double quantisation", "Stores the scales of the 4-bit codes in 8 bits too, saving about 0.4 bit a weight."},
    Field{"quantization.block_size", LORIKEET_FIELD(quantization, block_size), 32, 4096, "", "weights", kAdvanced,
          "Block size", "Weights that share one scale, a power of two; smaller blocks lose less and take more room."},

    Field{"adapter.method", LORIKEET_FIELD(adapter, method), 0, 0, "lora", "", kAdvanced, "Method",
          "What is trained on top of the frozen model."},
    Field{"adapter.rank", LORIKEET_FIELD(adapter, rank), 1, 4096, "", "", kMain, "Rank",
          "Size of the adapter; more learns more detail and takes more memory."},
    Field{"adapter.alpha", LORIKEET_FIELD(adapter, alpha), 0.001, 1e6, "", "", kMain, "Alpha",
          "Strength of the adapter, divided by the rank; twice the rank is usual."},
    Field{"adapter.dropout", LORIKEET_FIELD(adapter, dropout), 0, 0.95, "", "", kAdvanced, "Dropout",
          "Share of the adapter's inputs left out at random in training; helps against learning a small set by heart."},
    Field{"adapter.target_modules", LORIKEET_FIELD(adapter, target_modules), 0, 0, "", "", kAdvanced, "Target modules",
          "The layers that get an adapter: all-linear, a list of names such as q_proj,v_proj, or one regular "
          "expression."},
    Field{"adapter.rank_pattern", LORIKEET_FIELD(adapter, rank_pattern), 1, 4096, "", "", kAdvanced, "Rank by module",
          "Another rank for the modules whose name matches, for example {\"down_proj\": 8}."},
    Field{"adapter.alpha_pattern", LORIKEET_FIELD(adapter, alpha_pattern), 0.001, 1e6, "", "", kAdvanced,
          "Alpha by module", "Another alpha for the modules whose name matches, for example {\"down_proj\": 16}."},
    Field{"adapter.from", LORIKEET_FIELD(adapter, from), 0, 0, "", "", kAdvanced, "Start from",
          "A finished adapter (PEFT folder or GGUF adapter) to continue with; it brings its rank, alpha and targets "
          "along."},
    Field{"adapter.rslora", LORIKEET_FIELD(adapter, rslora), 0, 0, "", "", kAdvanced, "Rank-stabilised",
          "Divides alpha by the square root of the rank, which keeps high ranks learning."},
    Field{"adapter.dora", LORIKEET_FIELD(adapter, dora), 0, 0, "", "", kAdvanced, "DoRA",
          "Trains the size of each weight column apart from its direction; slower, sometimes better at low rank."},
    Field{"adapter.init", LORIKEET_FIELD(adapter, init), 0, 0, "default|gaussian", "", kAdvanced, "Initialisation",
          "How the first factor starts: default is uniform as in PEFT, gaussian is normal with deviation 1/rank."},

    Field{"optimizer.name", LORIKEET_FIELD(optimizer, name), 0, 0, "adamw|adamw8bit|paged_adamw|paged_adamw8bit", "",
          kAdvanced, "Optimizer",
          "How gradients become updates: 8 bits hold its state in a quarter of the memory, paged keeps it in a file."},
    Field{"optimizer.learning_rate", LORIKEET_FIELD(optimizer, learning_rate), 0, 10, "", "", kMain, "Learning rate",
          "Peak step size of the schedule; usual for adapters: 1e-4 to 1e-3, less for larger models."},
    Field{"optimizer.beta1", LORIKEET_FIELD(optimizer, beta1), 0, 0.999999, "", "", kAdvanced, "Beta 1",
          "How long the running mean of gradients remembers."},
    Field{"optimizer.beta2", LORIKEET_FIELD(optimizer, beta2), 0, 0.9999999, "", "", kAdvanced, "Beta 2",
          "How long the running mean of squared gradients remembers."},
    Field{"optimizer.eps", LORIKEET_FIELD(optimizer, eps), 1e-30, 1, "", "", kAdvanced, "Epsilon",
          "Added to the root of the second moment, so that a tiny gradient makes no huge step."},
    Field{"optimizer.weight_decay", LORIKEET_FIELD(optimizer, weight_decay), 0, 10, "", "", kAdvanced, "Weight decay",
          "Pulls trained values towards zero, in units of the learning rate; 0 is off."},
    Field{"optimizer.max_grad_norm", LORIKEET_FIELD(optimizer, max_grad_norm), 0, 1e9, "", "", kAdvanced,
          "Clip gradients", "Scales a larger gradient down to this norm; 0 is off."},

    Field{"schedule.name", LORIKEET_FIELD(schedule, name), 0, 0,
          "constant|linear|cosine|cosine_with_restarts|polynomial", "", kAdvanced, "Schedule",
          "How the learning rate goes down after its warmup."},
    Field{"schedule.warmup_ratio", LORIKEET_FIELD(schedule, warmup_ratio), 0, 1, "", "", kAdvanced, "Warmup share",
          "Part of all steps in which the learning rate rises from zero."},
    Field{"schedule.warmup_steps", LORIKEET_FIELD(schedule, warmup_steps), 0, kMany, "", "steps", kAdvanced,
          "Warmup steps", "Warmup as a number of steps; 0 takes the share instead."},

    Field{"training.epochs", LORIKEET_FIELD(training, epochs), 0.001, 100000, "", "epochs", kMain, "Length",
          "How often the whole set is seen."},
    Field{"training.max_steps", LORIKEET_FIELD(training, max_steps), 0, kMany, "", "steps", kAdvanced, "Steps at most",
          "Ends after this many optimizer steps, whatever the epochs say; 0 lets the epochs decide."},
    Field{"training.batch_size", LORIKEET_FIELD(training, batch_size), 1, 65536, "", "rows", kMain, "Batch",
          "Rows computed at once; only this one costs memory."},
    Field{"training.gradient_accumulation", LORIKEET_FIELD(training, gradient_accumulation), 1, 65536, "", "batches",
          kMain, "Accumulation",
          "Batches whose gradients are summed before each optimizer step; costs time, not memory."},
    Field{"training.seed", LORIKEET_FIELD(training, seed), 0, kExact, "", "", kAdvanced, "Seed",
          "Same seed, same settings, same device and threads: the same adapter byte for byte."},
    Field{"training.checkpointing", LORIKEET_FIELD(training, checkpointing), 0, 0, "auto|none|norms+swiglu|mlp|full|offload", "", kAdvanced,
          "Memory policy",
          "What the backward pass computes again to save memory: nothing, the norms and SwiGLU (costs next to no time), "
          "the MLP's first half too, or each whole block, from inputs kept on the device or, offload, in host memory; auto takes "
          "the fastest that fits."},
    Field{"training.deterministic", LORIKEET_FIELD(training, deterministic), 0, 0, "", "", kAdvanced, "Deterministic",
          "Takes only ways of computing that repeat exactly."},
    Field{"training.save_every", LORIKEET_FIELD(training, save_every), 0, kMany, "", "steps", kAdvanced, "Save every",
          "Steps between checkpoints; 0 or auto chooses from the length of the run, and the end is always saved."},
    Field{"training.eval_every", LORIKEET_FIELD(training, eval_every), 0, kMany, "", "steps", kAdvanced,
          "Measure every",
          "Steps between measurements on the validation data; 0 or auto chooses from the length of the run."},
    Field{"training.keep_checkpoints", LORIKEET_FIELD(training, keep_checkpoints), 1, 100000, "", "", kAdvanced,
          "Checkpoints kept", "Older checkpoints are removed once a newer one is safely on disk."},

    Field{"device.kind", LORIKEET_FIELD(device, kind), 0, 0, "auto|cpu|cuda", "", kAdvanced, "Device",
          "Where to compute; auto takes the usable GPU with the most free memory, else the CPU. cuda is GPU 0, cuda:N another."},
    Field{"device.compute", LORIKEET_FIELD(device, compute), 0, 0, "auto|f32|f16|bf16", "", kAdvanced, "Compute type",
          "Number type of the matrix products; auto is bf16 where the device has a fast unit for it, else f16 on a GPU and f32 on a CPU. f16 is for GPUs only."},
    Field{"device.threads", LORIKEET_FIELD(device, threads), 0, 4096, "", "threads", kAdvanced, "Threads",
          "CPU threads used; 0 takes the CPUs this program may use, or the physical cores where tiles do the products."},
    Field{"device.memory_limit", LORIKEET_FIELD(device, memory_limit), 0, kExact, "", "bytes", kAdvanced,
          "Memory limit", "Memory the run may use; 0 takes what is free."},
    Field{"device.pin_threads", LORIKEET_FIELD(device, pin_threads), 0, 0, "", "", kAdvanced, "Pin threads",
          "Keeps each thread on a core of its own; steadier on a machine that does nothing else, slower on a busy one."},
    Field{"device.numa_groups", LORIKEET_FIELD(device, numa_groups), 0, 64, "", "groups", kAdvanced, "Thread groups",
          "Shares the batches of a step out to groups of threads, one a memory node; 0 takes one for each node."},

    Field{"run.name", LORIKEET_FIELD(run, name), 0, 0, "", "", kAdvanced, "Run name",
          "Name of the run; empty makes one from model, data and time."},
    Field{"run.folder", LORIKEET_FIELD(run, folder), 0, 0, "", "", kAdvanced, "Runs folder",
          "Folder in which the run gets a folder of its own; empty takes your data folder."},
};

#undef LORIKEET_FIELD

}  // namespace

std::span<const Field> config_fields() { return kFields; }

const Field* find_field(std::string_view key) {
  for (const Field& f : kFields)
    if (f.key == key) return &f;
  return nullptr;
}

}  // namespace lorikeet
