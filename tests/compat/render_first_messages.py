"""Renders the prompts of one configuration file with Python's Jinja2, as mini-swe-agent would for the same run.

stdin: {"file", "variables": {...}, "output": {...}}; stdout: {"system", "instance", "observation"}.
"""

import json
import platform
import sys

import yaml
from jinja2 import StrictUndefined, Template


def main():
    request = json.load(sys.stdin)
    with open(request["file"], encoding="utf-8") as file:
        config = yaml.safe_load(file)
    agent, model, environment = (config.get(key, {}) for key in ("agent", "model", "environment"))
    variables = {**agent, **environment, **platform.uname()._asdict(), **model, **request["variables"]}

    def render(template, **more):
        return Template(template, undefined=StrictUndefined).render(**{**variables, **more})

    observation = model.get("observation_template") or agent.get("action_observation_template")
    json.dump(
        {
            "system": render(agent["system_template"]),
            "instance": render(agent["instance_template"]),
            "observation": render(observation, output=request["output"]),
        },
        sys.stdout,
    )


main()
