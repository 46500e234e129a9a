// Tests: "x is defined" and the like.
#include <algorithm>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_text.h"

namespace lorikeet::jinja {
namespace {

const Value& other(const Arguments& a) {
  if (a.positional.empty()) fail("the test needs a value to compare with");
  return a.positional[0];
}

bool is_integer(const Value& v) { return v.as<int64_t>() != nullptr; }
bool is_float(const Value& v) { return v.as<double>() != nullptr; }

int64_t modulo(const Value& v, int64_t by) {
  const int64_t i = integer_argument(v, "the tested value");
  if (by == 0) fail("modulo by zero");
  return by == -1 ? 0 : i % by;
}

bool iterable(const Value& v) { return v.is_undefined() || v.is_text() || v.list() || (v.dict() && !v.dict()->is_namespace); }

struct Named {
  std::string_view name;
  Test test;
};
const Named kTests[] = {
    {"defined", [](const Value& v, const Arguments&) { return !v.is_undefined(); }},
    {"undefined", [](const Value& v, const Arguments&) { return v.is_undefined(); }},
    {"none", [](const Value& v, const Arguments&) { return v.is_none(); }},
    {"string", [](const Value& v, const Arguments&) { return v.is_text(); }},
    {"mapping", [](const Value& v, const Arguments&) { return v.dict() && !v.dict()->is_namespace; }},
    {"iterable", [](const Value& v, const Arguments&) { return iterable(v); }},
    {"sequence", [](const Value& v, const Arguments&) { return iterable(v); }},
    {"number", [](const Value& v, const Arguments&) { return is_integer(v) || is_float(v) || v.as<bool>(); }},
    {"integer", [](const Value& v, const Arguments&) { return is_integer(v); }},
    {"float", [](const Value& v, const Arguments&) { return is_float(v); }},
    {"boolean", [](const Value& v, const Arguments&) { return v.as<bool>() != nullptr; }},
    {"true", [](const Value& v, const Arguments&) { return v.as<bool>() && *v.as<bool>(); }},
    {"false", [](const Value& v, const Arguments&) { return v.as<bool>() && !*v.as<bool>(); }},
    {"callable", [](const Value& v, const Arguments&) { return v.as<CallableObject*>() != nullptr; }},
    {"odd", [](const Value& v, const Arguments&) { return modulo(v, 2) != 0; }},
    {"even", [](const Value& v, const Arguments&) { return modulo(v, 2) == 0; }},
    {"divisibleby", [](const Value& v, const Arguments& a) { return modulo(v, integer_argument(other(a), "the divisor")) == 0; }},
    {"in", [](const Value& v, const Arguments& a) { return contains(other(a), v); }},
    {"lower", [](const Value& v, const Arguments&) { const std::string s = to_text(v); return lower(s) == s && upper(s) != s; }},
    {"upper", [](const Value& v, const Arguments&) { const std::string s = to_text(v); return upper(s) == s && lower(s) != s; }},
    {"filter", [](const Value& v, const Arguments&) { return v.is_text() && is_known_filter(v.text()); }},
    {"test", [](const Value& v, const Arguments&) { return v.is_text() && is_known_test(v.text()); }},
    {"sameas", [](const Value& v, const Arguments& a) { return v.data().index() == other(a).data().index() && equal(v, other(a)); }},
    {"equalto", [](const Value& v, const Arguments& a) { return equal(v, other(a)); }},
    {"eq", [](const Value& v, const Arguments& a) { return equal(v, other(a)); }},
    {"==", [](const Value& v, const Arguments& a) { return equal(v, other(a)); }},
    {"ne", [](const Value& v, const Arguments& a) { return !equal(v, other(a)); }},
    {"!=", [](const Value& v, const Arguments& a) { return !equal(v, other(a)); }},
    {"lt", [](const Value& v, const Arguments& a) { return compare(v, other(a)) < 0; }},
    {"<", [](const Value& v, const Arguments& a) { return compare(v, other(a)) < 0; }},
    {"lessthan", [](const Value& v, const Arguments& a) { return compare(v, other(a)) < 0; }},
    {"le", [](const Value& v, const Arguments& a) { return compare(v, other(a)) <= 0; }},
    {"<=", [](const Value& v, const Arguments& a) { return compare(v, other(a)) <= 0; }},
    {"gt", [](const Value& v, const Arguments& a) { return compare(v, other(a)) > 0; }},
    {">", [](const Value& v, const Arguments& a) { return compare(v, other(a)) > 0; }},
    {"greaterthan", [](const Value& v, const Arguments& a) { return compare(v, other(a)) > 0; }},
    {"ge", [](const Value& v, const Arguments& a) { return compare(v, other(a)) >= 0; }},
    {">=", [](const Value& v, const Arguments& a) { return compare(v, other(a)) >= 0; }},
};

}  // namespace

Test find_test(std::string_view name) {
  const auto it = std::find_if(std::begin(kTests), std::end(kTests), [&](const Named& n) { return n.name == name; });
  return it == std::end(kTests) ? nullptr : it->test;
}

}  // namespace lorikeet::jinja
