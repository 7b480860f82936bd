"""Writes the expected texts of golden-templates.json again, with Jinja2 3.1.6 set up as transformers 4.5x sets it up for chat templates: python3 make.py"""
import datetime
import json
import pathlib

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 3, 5, 14, 7, 9)
MESSAGES = [("system", "Be brief."), ("user", "Hi <b> \U0001f600\u00e9"), ("assistant", "Hello"), ("user", "Bye")]


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("write"), [], [], body).set_lineno(line)

    def write(self, caller):
        return caller()


def refuse(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = tojson
environment.globals.update(raise_exception=refuse, strftime_now=NOW.strftime)


def rendered(case):
    messages = case.get("messages", [{"role": role, "content": content} for role, content in MESSAGES])
    try:
        return environment.from_string(case["template"]).render(
            messages=messages, tools=case.get("tools"), documents=None, add_generation_prompt=True, bos_token="", eos_token="")
    except Exception:
        return None  # refused


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("golden-templates.json")
    cases = json.loads(path.read_text())
    for case in cases:
        case["expected"] = rendered(case)
    path.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")
