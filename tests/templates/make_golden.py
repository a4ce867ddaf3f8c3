"""Writes golden.json: what Python's Jinja2 makes of the templates below.

Run it with jinja2==3.1.6 installed: python tests/templates/make_golden.py
"""

import json
import pathlib

from jinja2 import StrictUndefined, Template
from jinja2.exceptions import UndefinedError

VARIABLES = {
    "task": "Fix the parser & its <tests>",
    "text": "naïve 😀 text",
    "lines": "one\ntwo\n\n  three\n",
    "long": "words that go on and on " * 12,
    "hostile": "{{ task }} {% raw %} {# gone #} \\ \" ' \r\n \x1b[31m \u2028",
    "empty": "",
    "none": None,
    "yes": True,
    "no": False,
    "count": 3,
    "zero": 0,
    "cost": 0.000015,
    "ratio": 0.5,
    "numbers": [3, 1, 2],
    "mixed": [1, "a'b", None, True, 2.5, ["x"], {"k": "v"}],
    "nested": {"alpha": {"beta": [10, {"gamma": "deep"}]}, "empty": {}, "none": None},
    "people": [{"name": "Ann", "age": 40}, {"name": "Bob", "age": 30}],
    "output": {"output": "ab😀cd" * 4, "returncode": 0, "exception_info": ""},
}

TEMPLATES = """
{{ task }} and {{ text }}
{{ hostile }}|{{ hostile | tojson }}|{{ hostile | length }}
{{ yes }} {{ no }} {{ none }} {{ true }} {{ False }} {{ None }}
{{ cost }} {{ ratio }} {{ 1.0 }} {{ 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ -2 ** 2 }}
{{ 1e16 }} {{ 1e15 }} {{ 123456.789 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.5e300 }}
{{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ +3 }} {{ -count }} {{ - 3 | abs }}
{{ numbers }} {{ mixed }} {{ [] }} {{ {} }} {{ {'a': [1, 'x']} }}
{{ "a" "b" }} {{ 'tab\\there' }} {{ 'back\\\\slash \\d \\x41 \\u00e9 \\101' }} {{ "it's" }} {{ ["it's", 'say "hi"', "both ' and \\""] }}
{{ 'a' ~ 1 ~ true ~ none ~ 2.5 ~ numbers }} {{ 'x' ~ ratio * 4 }}
{{ text[:7] }}|{{ text[6] }}|{{ text[-4:] }}|{{ text[::-1] }}|{{ text[6:8] | length }}|{{ text[1:6:2] }}
{{ output.output[:3] }}{{ output.output[-3:] }} {{ output.output | length - 10 }} {{ output["returncode"] }}
{{ nested.alpha.beta[1].gamma }} {{ nested['alpha']["beta"][0] }} {{ nested.alpha.beta.0 }} {{ nested.none }}
{{ nested.missing is defined }} {{ nested.alpha is defined }} {{ missing is undefined }} {{ missing is not defined }}
{{ missing | default('d') }} {{ missing | d(5) }} {{ none | default('x') }} {{ empty | default('x', true) }} {{ nested.nope | default([]) }}
{{ missing is none }} {{ missing is string }} {{ missing is mapping }} {{ missing is number }}
{{ none is none }} {{ count is number }} {{ text is string }} {{ numbers is iterable }} {{ nested is mapping }} {{ count is odd }} {{ count is divisibleby 3 }} {{ count is divisibleby(2) }} {{ 3 is in numbers }} {{ yes is sameas true }} {{ ratio is float }} {{ count is integer }} {{ yes is boolean }}
{% if task and not empty %}yes{% else %}no{% endif %} {% if zero %}a{% elif count > 2 and count < 10 %}b{% else %}c{% endif %}
{% if missing is defined and missing %}x{% else %}y{% endif %} {% if yes or missing %}short{% endif %}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ not 1 in [2] }} {{ 1 not in [2] }} {{ 'a' in 'abc' and 'z' not in 'abc' }} {{ 1 == 1.0 }} {{ '1' == 1 }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 'ab' * 3 }} {{ [1] + [2] }} {{ 'a' + 'b' }} {{ 10 - 2 - 3 }} {{ 2 * 3 % 4 }}
{{ 'a' if yes else 'b' }} {{ 'a' if no else 'b' if no else 'c' }} {{ ('x' if zero) | default('none') }}
{{ yes and 3 }} {{ zero or 'x' }} {{ not zero }} {{ zero and missing }}
{% for n in numbers %}{{ loop.index }}/{{ loop.length }}:{{ n }}{{ ", " if not loop.last }}{% endfor %}
{% for n in numbers if n > 1 %}{{ n }}{% else %}none{% endfor %} {% for n in [] %}x{% else %}nothing{% endfor %}
{% for n in numbers %}{{ n }}{% if not loop.last %}, {% endif %}{{ loop.first }}{{ loop.revindex }}{% endfor %}
{% for key, value in {'one': 1, 'two': [2]}.items() %}{{ key }}={{ value }};{% endfor %}
{% for person in people %}{{ person.name }} ({{ person['age'] }}){% endfor %} {{ people | map(attribute='name') | join(', ') }}
{% for person in people | sort(attribute='age') %}{{ person.name }}{% endfor %} {{ people | selectattr('age', 'gt', 35) | map(attribute='name') | list }}
{% set x = count + 1 %}{{ x }}{% set a, b = 1, 'two' %}{{ a }}{{ b }}{% set ns = namespace(total=0) %}{% for n in numbers %}{% set ns.total = ns.total + n %}{% endfor %}{{ ns.total }}
{% set block %}in {{ count }} {{ yes }}{% endset %}[{{ block }}]
{% set maybe = missing %}{{ maybe | default('unset') }}
{% macro tag(name, extra='!') %}<{{ name }}{{ extra }}>{% endmacro %}{{ tag('a') }}{{ tag('b', extra='?') }}{{ tag(count) | upper }}
{% macro wrap() %}[{{ caller() }}]{% endmacro %}{% call wrap() %}inner {{ count }}{% endcall %}
{% with a = 1, b = count %}{{ a + b }}{% endwith %}{% filter upper %}loud {{ text }}{% endfilter %}
{% raw %}{{ not_a_variable }} {% if %}{% endraw %}{# a {{ comment }} #}!
  {%- if yes -%}   trimmed   {%- endif -%}   end {{- count -}} x {{ '-' }} {%+ if yes %} kept {% endif +%}
{{ "}}" }} {{ '%}' }} {{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': {'b': 1}} }}
{{ task | upper }} {{ task | lower }} {{ 'hELLO wORLD' | capitalize }} {{ "o'neil-smith (x) <y>" | title }} {{ '  pad ' | trim }}|
{{ task | e }} {{ '"\\'/' | escape }} {{ task | tojson }} {{ text | tojson }} {{ mixed | tojson }} {{ {'b': 1, 'a': {'d': none, 'c': [1.5, true]}} | tojson }}
{{ {'b': [1, {'x': []}], 'a': {}} | tojson(indent=2) }}{{ [] | tojson(2) }}
{{ none | tojson }} {{ yes | tojson }} {{ count | tojson }} {{ cost | tojson }} {{ '\\x7f\\x01\\t\\b\\f/' | tojson }} {{ "</script>&'" | tojson }}
{{ numbers | sort | join('-') }} {{ numbers | sort(reverse=true) }} {{ numbers | first }} {{ numbers | last }} {{ numbers | max }} {{ numbers | min }} {{ numbers | sum }} {{ numbers | reverse | list }} {{ [1, 1, 2] | unique | list }}
{{ ['a', 1, true, none, 1.5] | join }} {{ 'abc' | join('.') }} {{ people | join('+', attribute='name') }}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent('> ', blank=true) }}|{{ 'a\\n' | indent }}|
{{ 'aXbXc' | replace('X', '--') }} {{ 'aXbXc' | replace('X', '', 1) }} {{ 'ab😀' | replace('', '.') }}
{{ long | truncate }}|{{ long | truncate(20) }}|{{ long | truncate(20, true) }}|{{ long | truncate(20, false, '…') }}|{{ 'short text' | truncate(7) }}|{{ 'short text' | truncate(7, leeway=0) }}|{{ 'abcdefghijk' | truncate(5, true, '..', 0) }}
{{ long | wordcount }} {{ "it's a ñandú_1 — x" | wordcount }} {{ 'a/b c?é=😀~' | urlencode }} {{ {'k k': 'v/ é'} | urlencode }} {{ [['a', 1], ['b', 'x y']] | urlencode }}
[{{ 'mid' | center(9) }}][{{ 'mid' | center(8) }}][{{ 'mi' | center(7) }}][{{ 'toolong' | center(3) }}]
{{ '%s|%5d|%-5d|%05d|%+d|%x|%X|%o|%c|%%' | format('s', 42, 42, 42, 42, 255, 255, 8, 'z') }} {{ '%r %s %s' | format('q', none, true) }}
{{ '%.2f|%8.3f|%-8.1f|%e|%.3g|%g|%g|%g' | format(1.005, 3.14159, 2.25, 12345.678, 1234.5678, 0.00001234, 100000.0, 1000000.0) }} {{ '$%.2f' | format(cost) }} {{ '%5s|%-5s|%.2s' | format('ab', 'ab', 'abc') }}
{{ '%s-%d' % ('a', 5) }} {{ '%.1f%%' % (ratio * 100) }} {{ '%(a)s/%(b)d' | format(a='x', b=2) }} {{ '%s' % count }}
{{ '{:.2f} {} {:>5} {:<5}| {:^5} {:05d} {:,} {:.1%} {:x}'.format(1.005, 'a', 'b', 'c', 'd', 42, 1234567, 0.256, 255) }} {{ '{0}{1}{0} {name} {{}}'.format('x', 'y', name='n') }}
{{ 42 | round }} {{ 42.5 | round }} {{ 43.5 | round }} {{ 2.675 | round(2) }} {{ 0.125 | round(2) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(1, 'ceil') }} {{ 1.5 | round | int }}
{{ '42' | int }} {{ '42.9' | int }} {{ 'x' | int }} {{ 'x' | int(-1) }} {{ '0x1f' | int(0, 16) }} {{ 3.99 | int }} {{ (1800 / 60) | int }} {{ -3.99 | int }} {{ yes | int }}
{{ '4.5' | float }} {{ 3 | float }} {{ 'x' | float }} {{ 'x' | float(1.5) }} {{ 5 | string ~ 'x' }} {{ yes | string }} {{ 5 | string | length }} {{ -5 | abs }}
{{ text.upper() }} {{ ' a '.strip() }}| {{ 'a,b,c'.split(',') }} {{ 'a,b'.split(',')[1] }} {{ 'abc'.startswith('a') }} {{ 'abc'.replace('b', 'x') }} {{ 'x'.join(['a', 'b']) }} {{ lines.splitlines() | length }} {{ 'abc'.find('c') }} {{ 'Ab'.lower() }} {{ 'a b'.title() }}
{{ nested.get('alpha') is mapping }} {{ nested.get('nope', 'fallback') }} {{ nested.get('none', 'x') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.values() | list }}
{{ range(5) | list }} {{ range(2, 9, 3) | list }} {{ dict(a=1)['a'] }} {{ range(3) | map('string') | join }}
{{ numbers | select('odd') | list }} {{ numbers | reject('equalto', 1) | list }} {{ numbers | batch(2) | list }} {% for key, value in {'b': 2, 'a': 1} | dictsort %}{{ key }}{{ value }}{% endfor %}
{{ numbers | length }} {{ numbers | count }} {{ nested | length }} {{ numbers[0] }} {{ numbers[-1] }} {{ numbers[1:] }} {{ numbers[::-1] }}
{{ missing | default(none) is none }} {{ nested.nope | default(none, true) }}{{ none | default(none) }} {{ missing | default(default_value='k') }}
{{ (people | first).name }} {{ people[0]['name'][0] }} {{ (people | map(attribute='age') | sum) / people | length }}
{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}
{% for w in text.split() %}{{ w }};{% endfor %} {{ lines.strip().split('\\n') | first }} {{ output.output.split('cd')[0] | upper }}
{{ cost * 1000000 }} {{ 0.1 + 0.2 }} {{ 1 / 3 }} {{ 100 * 1.1 }} {{ 5 // 2.0 }} {{ 7.0 }} {{ (ratio * 100) | round(1) }}%
{{ count ~ '' | length }} {{ (count ~ '') | length }} {{ 2 - -1 }} {{ not not yes }} {{ not yes == no }} {{ yes | int + 1 }}
{% set a = 1 %}{% for i in [1] %}{% set a = 2 %}{% endfor %}{{ a }} {% macro m(x, y=count) %}{{ x }}{{ y }}{% if y %}{{ m(0, 0) }}{% endif %}{% endmacro %}{{ m(1) }}
{{ text.foo is defined }} {{ numbers[9] is defined }} {{ none.x is defined }}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% for i in range(3) %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for c in 'aé😀' %}[{{ c }}]{% endfor %} {% for i in 1, 2 %}{{ i }}{% endfor %}
{% for p in people %}{% if loop.previtem is defined %}<{{ loop.previtem.name }}{% endif %}{{ loop.changed(p.age) }}{% endfor %}
{{ missing }}
{{ missing ~ 'x' }}
{{ 'x' ~ missing }}
{{ missing == 1 }}
{{ 1 != missing }}
{{ not missing }}
{{ missing | upper }}
{{ missing | length }}
{{ missing | tojson }}
{{ missing | int }}
{% if missing %}x{% endif %}
{% if yes and missing %}x{% endif %}
{% for x in missing %}{% endfor %}
{{ missing + 1 }}
{{ missing.attribute }}
{{ missing.attribute is defined }}
{{ missing['key'] | default('x') }}
{{ missing() }}
{{ missing[:3] }}
{{ nested.nope }}
{{ nested.nope.deeper }}
{{ nested['nope'] }}
{{ nested.alpha.nope ~ '' }}
{{ numbers[7] }}
{{ output.missing_key | length }}
{{ 1 if no }}
{{ missing if yes else 1 }}
{{ missing if yes }}
{{ 'a' if no }}|{{ ('a' if no) ~ 'b' }}|{% set v = 'a' if no %}{{ v }}|{% if ('a' if no) %}x{% endif %}
{{ 2.5 | round }} {{ 0.5 | round }} {{ -2.5 | round }} {{ 1234 | round(-2) }} {{ '%.0f %.0f %.0e %.1f' | format(0.5, 1.5, 2.5, 0.25) }}
{{ [] | first }}
{{ missing in numbers }}
{{ -missing }}
{{ missing < 3 }}
{% set y = missing + 1 %}
{% set z = missing %}{{ z }}
{{ '%s' % missing }}
{% for x in numbers %}{% if x.nope %}{% endif %}{% endfor %}
{{ task.strip(missing) }}
{{ numbers | join(missing) }}
{{ debug }}
""".strip("\n").split("\n")

INDICES = ["", "-9", "-4", "-2", "0", "1", "3", "9"]
SLICES = [
    "".join(f"{{{{ {name}[{start}:{stop}{step}] | join }}}}," for start in INDICES for stop in INDICES)
    for name in ("text", "numbers")
    for step in ("", ":1", ":2", ":-1", ":-2")
]

WHITE_SPACE = [
    "ends with a newline\n",
    "ends with two\n\n",
    "carriage\r\nreturn\rmixed\n{{ count }}\r\n",
    "{% if yes %}\nblock\n{% endif %}\nafter\n",
    "  {% if yes -%}\n  block\n  {%- endif %}\nafter",
    "{{\n  task\n  |\n  upper\n}}\n{{ 'two\nlines' }}",
    "\n{#- comment -#}\n x \n",
    "",
    "{{ '' }}\n",
    "{%- set head = output.output[:2] -%}\n<output>\n{{ head -}}\n</output>\n",
]


def outcome(template):
    try:
        return {"text": Template(template, undefined=StrictUndefined).render(**VARIABLES)}
    except UndefinedError as error:
        return {"undefined": str(error)}
    except Exception as error:  # a TypeError of json.dumps, for example
        return {"error": type(error).__name__}


def main():
    cases = [{"template": template, **outcome(template)} for template in TEMPLATES + SLICES + WHITE_SPACE]
    golden = {"variables": VARIABLES, "cases": cases}
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, indent=2) + "\n")


main()
