#!/usr/bin/env python3
"""Makes tests/data/templates/*.golden.json: what Hugging Face's chat template environment (jinja2) renders from the
templates beside it, and from several hundred small expressions, half of them written at random.

    python3 tests/tools/make_template_fixtures.py
"""
import datetime
import glob
import json
import os
import random

from transformers.utils import chat_template_utils

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "templates")
NOW = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)

TOOLS = [
    {"type": "function", "function": {"name": "find_bird", "description": "Finds a bird by <name> & \"colour\".\nIn two lines — é.",
     "parameters": {"type": "object", "properties": {"name": {"type": "string", "description": "its name"}, "colours": {"type": "array", "items": {"type": "string"}},
                    "weight": {"type": ["number", "integer"]}, "extra": {"type": "object"}, "map": {"type": "object", "additionalProperties": {"type": "integer"}}}, "required": ["name"]}}},
    {"type": "function", "function": {"name": "sing", "parameters": {"type": "object", "properties": {}, "limit": 1.5, "note": {"a": [1, 2.0, None, True]}}, "return": {"type": "boolean"}}},
]
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "find_bird", "arguments": {"name": "Lori", "n": 3, "x": 0.1, "deep": {"k": ["é", "\u2028", "</script>"]}}}}]}
CHATS = {
    "one": [{"role": "user", "content": "Hello  "}],
    "two": [{"role": "user", "content": "  Hi\n"}, {"role": "assistant", "content": " Good day! "}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1+1?"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "Sure?"}],
    "unicode": [{"role": "user", "content": "Ünï 日本 😀 'quotes' \"double\" <b>"}, {"role": "assistant", "content": "ok\n\n```py\nx = {1: '{{'}\n```"}],
    "thinking": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "<think>\nso\n</think>\n\nd"}],
    "reasoning": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "reasoning_content": "\nr\n"}],
    "tool": [{"role": "user", "content": "find it"}, CALL, {"role": "tool", "content": "{\"found\": true}", "tool_call_id": "abcdefghi"}, {"role": "tool", "content": "again", "tool_call_id": "abcdefghi"}, {"role": "assistant", "content": "there"}],
    "parts": [{"role": "system", "content": [{"type": "text", "text": "S"}]}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " look "}]}],
    "wrong order": [{"role": "assistant", "content": "first"}, {"role": "assistant", "content": "second"}],
    "odd roles": [{"role": "user", "content": "x"}, {"role": "skip", "content": "y"}, {"role": "assistant", "content": "z"}, {"role": "stop", "content": ""}, {"role": "user", "content": "w"}],
    "empty": [],
}


def environment():
    env = chat_template_utils._compile_jinja_template("x").environment
    env.globals["strftime_now"] = lambda f: NOW.strftime(f)
    return env


def render(env, source, variables, spans=False):
    try:
        template = env.from_string(source)
        if not spans:
            return {"text": template.render(**variables)}
        blocks, indices = [], []
        with env.activate_tracker(blocks, indices):
            for block in template.generate(**variables):
                blocks.append(block)
        text = "".join(blocks)
        return {"text": text, "generation": [[len(text[:a].encode()), len(text[:b].encode())] for a, b in indices]}
    except Exception as e:
        return {"error": type(e).__name__}


def template_goldens(env):
    rows = []
    for path in sorted(glob.glob(os.path.join(OUT, "*.jinja"))):
        with open(path, encoding="utf-8") as f:
            source = f.read()
        for chat, messages in CHATS.items():
            for tools in [None, TOOLS]:
                for prompt in [False, True]:
                    v = {"messages": messages, "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>"}
                    if tools is not None:
                        v["tools"] = tools
                    if chat == "thinking":
                        v["enable_thinking"] = False
                    if chat == "system":
                        v["date_string"] = "26 Jul 2025"
                        v["tools_in_user_message"] = False
                    rows.append({"template": os.path.basename(path), "chat": chat, "variables": v, **render(env, source, v, spans=True)})
    return rows


VARIABLES = {"i": 7, "n": -3, "z": 0, "f": 2.5, "g": -0.75, "big": 9007199254740993, "s": "Hello, Wörld! 😀", "e": "", "w": "  a b\tc \n", "t": True, "u": False, "none_": None,
             "l": [3, 1, 2], "m": ["b", "A", "c", "a"], "d": {"x": 1, "y": [1, 2], "z": {"k": "v"}}, "empty": [], "ed": {}, "mixed": [1, "a", None, True, 2.0],
             "rows": [{"r": "user", "c": "one", "n": 2}, {"r": "bot", "c": "two", "n": 1}, {"r": "user", "c": "Three", "n": 3}]}

FIXED = r"""
i + n;i - n;i * f;i / 2;i // 2;n // 2;n % 2;i % n;n % i;f // 2;g % 1;-7 // 2.0;7.5 % -2;2 ** 10;2 ** -1;2.0 ** 3;-2 ** 2;1 / 0;1 % 0;1 // 0;0 ** 0;9007199254740993 + 0;1e3;1e16;1e15 + 0.5;1e-5;0.0001;123456789.123;1_000
'a' + 'b';'a' 'b';'a' ~ 1 ~ none ~ true;'ab' * 3;3 * 'ab';'ab' * -1;[1] + [2];[1, 2] * 2;(1, 2) + (3,);'a' + 1;1 + none;s + e;missing + 1;missing ~ 'x'
true and 'x';false or 'y';not i;not e;i and 0;none or [];i == 7.0;true == 1;'a' == 'a';'a' != "a";1 < 2 < 3;1 < 3 < 2;'a' < 'b';[1, 2] < [1, 3];'a' < 1;none == none;none < 1;missing == none;missing == missing2
'Wör' in s;1 in l;9 not in l;'x' in d;'q' in d;1 in 'abc';'' in '';none in mixed;missing in l;1 in missing
i if t else n;i if u else n;i if u;(i if u) ~ 'x';'a' if e else 'b' if t else 'c'
l[0];l[-1];l[5];l['0'];s[0];s[-1];s[7:12];s[::-1];s[::2];s[-3:];s[:-3];l[1:];l[:1];l[::-1];l[::-2];l[10:];l[-10:2];l[0:0];l[::0];s[100];d['x'];d.x;d.y[1];d.z.k;d.q;d.q.r;d['items'];d.get('x');d.get('q');d.get('q', 5);s.nothing;none_.x;l.0;i.x
(1, 2);(1,);();[];{};{'a': 1, 2: 'b', none: true};[1, 'a', none, true, 1.0, (2,), {'k': "it's"}];'a"b\'c'|list;["it's", 'say "x"', 'both \' and "', 'tab\t nl\n \x01 é \u200b']
d|length;s|length;l|count;e|length;missing|length;i|length;none_|length
s|upper;s|lower;s|title;'hello wORLD-foo (bar) [baz]'|title;s|capitalize;'ÉCOLE ß'|lower;'straße'|upper;'ßa'|capitalize;i|upper;missing|upper;none_|lower
w|trim;'xxaxx'|trim('x');w.strip();w.lstrip();w.rstrip();'xxaxx'.strip('x');'abcba'.lstrip('ab');'\n\nx\n'.strip('\n');i|trim
'a,b,,c'.split(',');'a,b,,c'.split(',', 1);' a  b '.split();' a  b c'.split(none, 1);'a b'.split('');'a,b,c'.rsplit(',', 1);'a\nb\r\nc\n'.splitlines();'a\nb\n'.splitlines(true);''.split();''.split(',')
s.startswith('Hell');s.startswith(('x', 'H'));s.endswith('x');s.replace('l', 'L');s.replace('l', 'L', 1);s.replace('', '-');s|replace('l', 'L');s|replace('l', 'L', 2);s.upper();s.title();'they\'re bill\'s'.title();s.capitalize();s.find('W');s.find('q');s.rfind('l');s.count('l');'-'.join(m);', '.join([]);'-'.join([1]);'12'.isdigit();'a1'.isalpha();' '.isspace();'abc'.removeprefix('a');'abc'.removesuffix('c')
l|join;l|join(', ');rows|join('-', attribute='c');m|join(1);s|join('.');l|first;l|last;empty|first;empty|last;s|first;s|last;d|first;l|list;s|list;d|list;(1,2)|list;missing|list;i|list
l|sort;l|sort(reverse=true);m|sort;m|sort(case_sensitive=true);mixed|sort;rows|sort(attribute='n')|map(attribute='c')|list;rows|sort(attribute='n', reverse=true)|map(attribute='c')|list;l|reverse|list;s|reverse;m|unique|list;[1, 1.0, true, 'a', 'A']|unique|list;l|sum;rows|sum(attribute='n');l|sum(start=10);l|min;l|max;m|min;m|max;empty|max;rows|max(attribute='n')
d|items|list;d.items()|list;d.keys()|list;d.values()|list;d|dictsort;{'b': 1, 'A': 2}|dictsort;{'b': 1, 'a': 2}|dictsort(by='value');{'b': 1, 'A': 2}|dictsort(true);{'b': 1, 'a': 2}|dictsort(reverse=true);missing|items|list;l|items|list
rows|map(attribute='c')|list;rows|map(attribute='q')|list;rows|map(attribute='q', default='?')|list;m|map('upper')|list;l|map('string')|join('+');['a-b', 'c']|map('replace', '-', '+')|list;[[1, 2], [3]]|map('length')|list;[[1, 2], [3]]|map('first')|list
rows|selectattr('r', 'equalto', 'user')|list|length;rows|selectattr('r', '==', 'user')|map(attribute='n')|list;rows|rejectattr('r', 'equalto', 'user')|map(attribute='c')|join;rows|selectattr('q')|list;rows|selectattr('n', 'gt', 1)|map(attribute='n')|list;rows|selectattr('q', 'defined')|list;l|select('odd')|list;l|reject('odd')|list;mixed|select('string')|list;mixed|select|list;mixed|reject|list;l|select('in', [1, 2])|list;l|reject('equalto', 1)|list;rows|map(attribute='n')|select('greaterthan', 1)|list
missing|default('x');none_|default('x');none_|default('x', true);e|default('x', boolean=true);missing|default;missing|d(1);i|default(9)
'5'|int;'5.9'|int;'x'|int;'x'|int(3);f|int;g|int;' 12 '|int;'1_000'|int;none_|int;true|int;'1e3'|int;'-4'|int;'0x1f'|int;'5'|float;'x'|float;'1e3'|float;'x'|float(1.5);i|float;'nan'|float;'inf'|int;i|string;f|string;none_|string;l|string;n|abs;g|abs;2.5|round;3.5|round;2.675|round(2);1234.5|round(-2);i|round;1.2|round(0, 'ceil');1.29|round(1, 'floor');-1.5|round
l|tojson;d|tojson;s|tojson;mixed|tojson;d|tojson(indent=2);d|tojson(indent=0);[]|tojson(indent=2);{}|tojson(indent=4);[[], {}]|tojson(indent=1);d|tojson(separators=(',', ':'));{'b': 1, 'a': 2}|tojson(sort_keys=true);s|tojson(ensure_ascii=true);'<&>\'"\\/\n\t\x01\x7f'|tojson;{1: 2, true: 3, none: 4, 1.5: 5}|tojson;missing|tojson;1e20|tojson;0.1|tojson;(1, 2)|tojson;2.0|tojson;-0.0|tojson;1e-7|tojson
'a\nb\n\nc'|indent;'a\nb'|indent(2);'a\nb'|indent(2, true);'a\n\nb'|indent(2, blank=true);'a\nb'|indent('> ');'a'|indent(first=true);''|indent(2)
'<b>&"\''|escape;'<b>'|e;'<b>'|safe;'a b c'|wordcount;[1, 2, 3, 4, 5]|batch(2)|list;[1, 2, 3]|batch(2, 0)|list
i is defined;missing is defined;missing is not defined;missing is undefined;none_ is none;missing is none;s is string;i is string;d is mapping;l is mapping;l is iterable;s is iterable;i is iterable;d is iterable;l is sequence;d is sequence;i is sequence;i is number;f is number;t is number;s is number;i is integer;t is integer;f is float;t is boolean;i is boolean;t is true;i is true;u is false;none_ is false;i is odd;i is even;i is divisibleby(7);i is divisibleby 2;i is equalto 7;i is eq(7);i is ne 7;i is lt 8;i is gt(8);i is in(l);1 is in l;'a' is lower;'A' is upper;i is sameas 7;range is callable;not missing is defined;i is defined and i > 5;missing.x is defined;d.q is defined;not d.x is string
range(3)|list;range(1, 4)|list;range(5, 0, -2)|list;range(0)|list;range(1, 10, 3)|list;range(0, 1, 0)|list;range(1000000)|list|length;dict(a=1, b=2);dict({'x': 1}, y=2);dict([['k', 'v']]);namespace(a=1).a;namespace(a=1).b;strftime_now('%d %b %Y');strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %y %I %p %%');raise_exception('no');missing();missing(1).x;i();s.nothing();d.x()
-i|abs;-i;- -i;+n;not not i;1 + 2 * 3;(1 + 2) * 3;10 - 2 - 3;2 * 3 % 4;1 ~ 2 + 3;'a' ~ 1 * 2;1 + 1 ~ 2;not 1 == 2;1 == 1 and 2 == 2;true or false and false;not true or true;1 if 0 else 2 if 0 else 3;i > 3 and 'yes' or 'no';[1, 2, 3][1];{'a': {'b': 1}}['a']['b'];'abc'[1];'abc'|upper|lower;('a' ~ 'b')|upper;'a' ~ 'b'|upper;(1, 2)[0];[x for x in l];l[0]|string + 'x';'%s' % 1;'%s-%s' % (1, 'b');'%5d|%-5d|%05d|%+d' % (7, 7, 7, 7);'%.2f %e %g' % (f, f, f);'%r %%' % s;'%s' % (1, 2);'%d' % 'a';'%x %X %o' % (255, 255, 8);'%s'|format(i);'%.3s|%6s' % (s, 'ab')
mixed;d;rows;s;w;f;g;big;1.0;100000000000000000000.0;0.1 + 0.2;1/3;t;none_;missing;empty;ed
"""

STATEMENTS = [
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ x }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}|{% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in empty %}x{% else %}none{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% else %}no{% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for a, b in [(1, 2), [3, 4]] %}{{ a + b }} {% endfor %}", "{% for a, b in [1] %}{% endfor %}",
    "{% for c in 'héé' %}{{ c }}.{% endfor %}", "{% for x in i %}{% endfor %}", "{% for x in missing %}x{% else %}nothing{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{{ x }}{% set x = y %}{{ x }};{% endfor %}{{ x }}", "{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = [1] %}", "{% set x %}in {{ i }}{% endset %}[{{ x }}]",
    "{% set x | upper %}abc{% endset %}{{ x }}", "{% set d.x = 1 %}", "{% set nothing.x = 1 %}", "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m() }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}", "{% macro m() %}{% set i = 1 %}{{ i }}{% endmacro %}{{ m() }}{{ i }}", "{% macro m() %}{{ caller(2) }}{% endmacro %}{% call(n) m() %}<{{ n }}>{% endcall %}",
    "{% macro m() %} a {% endmacro %}{{ m()|trim }}{{ m() ~ 'x' }}{{ m()|length }}", "{% if e %}a{% elif i > 5 %}b{% elif t %}c{% else %}d{% endif %}", "{% if missing %}a{% else %}b{% endif %}", "{% if missing.x %}a{% endif %}",
    "{% with x = i, y = 2 %}{{ x + y }}{% endwith %}{{ x }}", "{% filter upper %}a{{ i }}b{% endfilter %}", "{% filter replace('a', 'b')|upper %}aXa{% endfilter %}", "{% raw %}{{ x }}{% endraw %}", "{%- raw -%}  {{ x }}  {%- endraw -%}  x",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc", "a {%- if t %} b {%- endif %} c", "a {% if t -%} b {% endif -%} c", "a\n{{ i }}\nb", "a\n  {{- i -}}\n  b", "  {# c #}\n  x", "a  {# c #}  b", "a\n\n{#- c -#}\n\nb", "{% if t %}\n\n\nx{% endif %}", "a\n   {%+ if t %}x{% endif %}", "x{% if t +%}\ny{% endif %}",
    "\n\nx\n\n", "x\r\ny\rz\r\n", "{% for x in l %}\n{{ x }}\n{% endfor %}\nend", "\t{% set x = 1 %}\t\n{{ x }}", "{{ '{{' }}{{ '%}' }}{{ {'a': {'b': 1}}.a }}", "{{ {'a': {'b': 1}}}}", "{{-i-}}", "{{+i}}", "{ { } } {a} % }", "{{ i }}}", "{{{'a': 1}}}",
    "{% generation %}x{% set q = 1 %}{% endgeneration %}{{ q }}", "{% if %}{% endif %}", "{% if t %}", "{% endif %}", "{% for x l %}{% endfor %}", "{{ i", "{{ }}", "{% %}", "{{ i | }}", "{{ i is }}", "{{ 'abc }}", "{# x", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{{ i|nofilter }}", "{{ i is notest }}", "{% break %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ {1} }}", "{{ a b }}", "{% set %}", "{% set 1 = 2 %}", "{% macro %}", "{{ f(a=1, 2) }}", "{{ '\\x4' }}", "{{ '\\q\\n\\t\\\\\\'\\u00e9\\x41\\101' }}", "{% raw %}x", "{% do l.append(1) %}", "{{ loop.index }}", "{% for x in l %}{% endfor %}{{ x }}", "{% if t %}{% set y = 3 %}{% endif %}{{ y }}", "{% for x in l %}{% if x == 3 %}{% set y = 3 %}{% endif %}{{ y }},{% endfor %}", "{{ ''.join(['a', 'b']) }}{{ ('a', 'b')|join('-') }}",
    "{% set l2 = l + [9] %}{{ l }}{{ l2 }}", "{% for r in rows %}{{ r.c if r.r == 'user' else r.n }}{{ ', ' if not loop.last }}{% endfor %}", "{{ rows[0].c ~ rows[-1]['c'] }}", "{% for x in l[::-1] %}{{ x }}{% endfor %}", "{% for x in range(3) %}{{ loop.index0 * 2 }}{% endfor %}", "{% for x in 'a,b'.split(',') %}{{ x }}{% endfor %}",
    "{% for a in l %}{% set outer = loop %}{% for b in l %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% set x = [] %}{% for a in x %}{% else %}E{% endfor %}", "{{ i }}{# c {{ x }} #}{{ n }}", "{%if t%}x{%endif%}", "{{i}}{{n}}", "{% if t %}a{% endif %}\nb", "{% if t %}a{% endif %} \nb", "é{{ i }}é", "{% set é = 1 %}{{ é }}",
]


def random_expressions(count):
    rng = random.Random(11)
    numbers = ["0", "1", "2", "3", "7", "-2", "1.5", "i", "n", "f", "z", "l[0]", "l|length", "d.x"]
    texts = ["'a'", "'bC'", "s", "e", "w", "m[0]", "d.z.k", "'x-y'", "s|upper", "w|trim", "i|string"]
    lists = ["l", "m", "empty", "[1, 2]", "['a', 1]", "mixed", "l|sort", "s.split()", "d|list", "m|map('lower')|list"]
    others = ["none_", "t", "u", "missing", "d", "d.q", "true", "none"]

    def number(depth):
        if depth == 0:
            return rng.choice(numbers)
        return rng.choice([lambda: "(%s %s %s)" % (number(depth - 1), rng.choice(["+", "-", "*", "/", "//", "%"]), number(depth - 1)),
                           lambda: "(%s)|%s" % (number(depth - 1), rng.choice(["abs", "int", "float", "round", "string", "round(1)"])), lambda: "(%s)|length" % collection(depth - 1),
                           lambda: "(-%s)" % number(depth - 1), lambda: "(%s if %s else %s)" % (number(depth - 1), condition(depth - 1), number(depth - 1))])()

    def text(depth):
        if depth == 0:
            return rng.choice(texts)
        return rng.choice([lambda: "(%s + %s)" % (text(depth - 1), text(depth - 1)), lambda: "(%s ~ %s)" % (text(depth - 1), anything(depth - 1)), lambda: "(%s)[%s:%s]" % (text(depth - 1), rng.choice(["", "1", "-2"]), rng.choice(["", "3", "-1", "3:2"])),
                           lambda: "(%s)|%s" % (text(depth - 1), rng.choice(["upper", "lower", "trim", "title", "capitalize", "reverse", "tojson", "replace('a', 'bb')", "indent(2)", "escape"])),
                           lambda: "(%s).%s" % (text(depth - 1), rng.choice(["upper()", "strip()", "title()", "replace('l', '')", "lstrip(' a')", "capitalize()"])), lambda: "(%s)|join('+')" % collection(depth - 1), lambda: "(%s) * %s" % (text(depth - 1), rng.choice("0123"))])()

    def collection(depth):
        if depth == 0:
            return rng.choice(lists)
        return rng.choice([lambda: "(%s + %s)" % (collection(depth - 1), collection(depth - 1)), lambda: "(%s)[%s:%s]" % (collection(depth - 1), rng.choice(["", "1", "-2", "9"]), rng.choice(["", "2", "-1", ":-1", ":2"])),
                           lambda: "[%s, %s]" % (anything(depth - 1), anything(depth - 1)), lambda: "(%s)|%s|list" % (collection(depth - 1), rng.choice(["reverse", "unique", "map('string')", "select('string')", "reject('none')", "select", "reject('equalto', 1)"])),
                           lambda: "(%s).split(%s)" % (text(depth - 1), rng.choice(["", "'a'", "' '", "none, 1"])), lambda: "(%s, %s)" % (anything(depth - 1), number(depth - 1))])()

    def condition(depth):
        if depth == 0:
            return rng.choice(others)
        return rng.choice([lambda: "(%s %s %s)" % (anything(depth - 1), rng.choice(["==", "!="]), anything(depth - 1)), lambda: "(%s %s %s)" % (number(depth - 1), rng.choice(["<", ">=", ">", "<="]), number(depth - 1)),
                           lambda: "(%s %s %s)" % (anything(depth - 1), rng.choice(["in", "not in"]), collection(depth - 1)), lambda: "(%s is %s%s)" % (anything(depth - 1), rng.choice(["", "not "]), rng.choice(["defined", "none", "string", "number", "mapping", "iterable", "sequence", "boolean", "true", "undefined"])),
                           lambda: "(%s %s %s)" % (anything(depth - 1), rng.choice(["and", "or"]), anything(depth - 1)), lambda: "(not %s)" % anything(depth - 1)])()

    def anything(depth):
        return rng.choice([number, text, collection, condition])(depth)

    return [anything(rng.randint(1, 4)) for _ in range(count)]


def write(name, rows):
    with open(os.path.join(OUT, name), "w", encoding="utf-8", newline="\n") as f:
        f.write("[\n" + ",\n".join(json.dumps(r, ensure_ascii=True, separators=(",", ":")) for r in rows) + "\n]\n")


def main():
    env = environment()
    write("templates.golden.json", template_goldens(env))
    expressions = [e for line in FIXED.strip().split("\n") for e in line.split(";")]
    for name, sources in [("expressions", ["{{ " + e + " }}" for e in expressions]), ("statements", STATEMENTS), ("random", ["{{ " + e + " }}" for e in random_expressions(700)])]:
        rows = [{"source": s, **render(env, s, VARIABLES)} for s in sources]
        rows = [r for r in rows if " at 0x" not in r.get("text", "")]
        write(name + ".golden.json", [{"variables": VARIABLES}] + rows)


if __name__ == "__main__":
    main()
