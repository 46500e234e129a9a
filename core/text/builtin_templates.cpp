// Templates offered for models that bring none. Both mark the answers with generation blocks.
#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/text/chat_template.h"

namespace lorikeet {
namespace {

constexpr const char* kChatml = R"({% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\n' }}
{%- if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}
{%- else %}{{ message['content'] + '<|im_end|>' }}
{%- endif %}
{{ '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
)";

// The prompt of Stanford Alpaca (the two texts of the QLoRA code). A user turn is the instruction; a turn that carries
// "instruction" and "input" beside its content is shown in the form with input. A system turn stands in front as it is.
// The answer begins on a line of its own and ends with eos_token.
constexpr const char* kAlpaca = R"({%- for message in messages %}
{%- if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}
{%- elif message['role'] == 'user' %}
{%- if not loop.first and messages[loop.index0 - 1]['role'] == 'assistant' %}{{ '\n\n' }}{% endif %}
{%- if message['instruction'] and message['input'] %}{{ 'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\n' + message['instruction'] + '\n\n### Input:\n' + message['input'] + '\n\n### Response:' }}
{%- else %}{{ 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n' + message['content'] + '\n\n### Response:' }}
{%- endif %}
{%- elif message['role'] == 'assistant' %}{{ '\n' }}{% generation %}{{ message['content'] + (eos_token or '') }}{% endgeneration %}
{%- else %}{{ raise_exception('The alpaca template knows system, user and assistant, not ' + message['role']) }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\n' }}{% endif %}
)";

}  // namespace

std::vector<std::string> builtin_template_names() { return {"chatml", "alpaca"}; }

std::string builtin_template(std::string_view name) {
  if (name == "chatml") return kChatml;
  if (name == "alpaca") return kAlpaca;
  throw ConfigError("data.template", fmt::format("\"{}\" is no built-in template; known: {}", printable(name, 40), join(builtin_template_names(), ", ")));
}

}  // namespace lorikeet
