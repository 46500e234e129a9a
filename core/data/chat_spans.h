/// Where the assistant's words stand in a rendered conversation.
#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/json.h"
#include "core/text/chat_template.h"

namespace lorikeet {

/// Bytes of the rendered text that one message's content takes.
struct TurnSpan {
  size_t message = 0, begin = 0, end = 0;
};

/// Renders one conversation in variations to learn what the template does with it.
class ChatSpans {
 public:
  /// `variables` holds messages and all else the template sees; `plain` is their rendering, which stays the truth.
  ChatSpans(const ChatTemplate& chat, Json variables, const Rendered& plain, double now);
  /// The span of each assistant turn whose `wanted` is set, in order: from the template's generation blocks, else by
  /// marks set around the contents, else from the renderings that end before and behind the turn. Throws RunError when
  /// the template does not show where a turn begins.
  std::vector<TurnSpan> assistant_turns(const std::vector<bool>& wanted) const;
  /// Where the rendering of messages 0..message ends, without blanks at its end; nothing when that rendering is not a
  /// beginning of the plain one.
  std::optional<size_t> turn_end(size_t message) const;

 private:
  struct Marks;
  std::optional<size_t> turn_begin(size_t message) const;
  std::optional<std::string> render_first(size_t count, bool generation_prompt) const;
  std::vector<Marks> find_marks(const std::vector<size_t>& turns, bool with_lead) const;
  std::vector<size_t> kept_blanks(const std::vector<size_t>& turns, const std::vector<Marks>& marks) const;
  const ChatTemplate& chat_;
  Json variables_;
  const Rendered& plain_;
  double now_;
};

}  // namespace lorikeet
