"""Renders every template of mini-swe-agent's configuration files with Python's Jinja2.

stdin: {"folders": [...], "contexts": [{...}]}; stdout: a list of
{"file", "key", "template", "outcomes": [{"text"} | {"undefined"}, one per context]}.
"""

import json
import pathlib
import sys

import yaml
from jinja2 import StrictUndefined, Template
from jinja2.exceptions import UndefinedError


def templates(node, path=""):
    if isinstance(node, dict):
        for key, value in node.items():
            yield from templates(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, str) and path.rsplit(".", 1)[-1].endswith("template"):
        yield path, node


def render(template, context):
    try:
        return {"text": Template(template, undefined=StrictUndefined).render(**context)}
    except UndefinedError as error:
        return {"undefined": str(error)}


def main():
    request = json.load(sys.stdin)
    cases = []
    for folder in request["folders"]:
        for file in sorted(pathlib.Path(folder).rglob("*.yaml")):
            for key, template in templates(yaml.safe_load(file.read_text(encoding="utf-8"))):
                outcomes = [render(template, context) for context in request["contexts"]]
                cases.append({"file": str(file), "key": key, "template": template, "outcomes": outcomes})
    json.dump(cases, sys.stdout)


main()
