"""Rules for the arguments and the environment that users give to vLLM, pure."""

import json
import re

# vLLM listens at the address that the gate expects, and serves the files that the manifest pins. It has no key of its own:
# the gate takes the token off requests, and every process of the host can read a key on the command line.
OURS = (
    "--host",
    "--port",
    "--uds",
    "--model",
    "--served-model-name",
    "--config",
    "--api-key",
    "--ssl-keyfile",
    "--ssl-certfile",
)
OUR_VARIABLES = ("VLLM_API_KEY", "VLLM_HOST_IP", "HF_TOKEN")
OPTION = re.compile(r"--?[A-Za-z][A-Za-z0-9_.-]*(=.*)?\Z", re.DOTALL)
NUMBER = re.compile(r"-\d")  # a value
DASH = re.compile(r"[\u2010-\u2015\u2212]")  # an editor turns `--` into one of these
SHOWN = 60  # characters of an item that a sentence repeats
KEEP_ALIVE, LEAST_KEEP_ALIVE = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE", 5
VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*\Z")


def argument_problems(arguments: tuple[str, ...]) -> list[str]:
    """Return a sentence for each argument that users may not give to vLLM, pure.

    Those are options that gpu-fleet sets itself, also abbreviated, and items that are not one option or one value.
    """
    return [*_shape_problems(arguments), *_ours(arguments)]


def _shape_problems(arguments: tuple[str, ...]) -> list[str]:
    found = []
    takes_values = False  # an option stands before, and has no value of its own behind a `=`
    for item in arguments:
        if DASH.match(item):
            found.append(f"{_short(item)} begins with a dash that is no minus sign; options begin with --")
            takes_values = True
        elif item.startswith("-") and not NUMBER.match(item):
            takes_values = "=" not in item
            if not OPTION.match(item):
                found.append(_respelled(item))
        elif not item.strip():
            found.append("an item is empty; take it out")
        elif not takes_values:
            found.append(f"{_short(item)} follows no option that takes it; each item is one option or its value")
    return found


def _respelled(item: str) -> str:
    option, *value = item.split(None, 1)
    if not value or not OPTION.match(option):
        return f"{_short(item)} is no option; options look like --max-model-len"
    text = value[0].strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]  # no shell reads the list, so quotation marks would be part of the value
    # The sentence repeats no value of an option of ours: it may be a key.
    if _ours((option,)):
        return f"{option} and its value are one item, and it is set by gpu-fleet; take it out"
    return f"{_short(item)} is one item where two are meant; write {json.dumps([option, text], ensure_ascii=False)}"


def _short(item: str) -> str:
    return repr(item if len(item) <= SHOWN else f"{item[:SHOWN]}...")


def _ours(arguments: tuple[str, ...]) -> list[str]:
    options = [argument.partition("=")[0].replace("_", "-") for argument in arguments if argument.startswith("--")]
    return [
        f"{option} is set by gpu-fleet ({ours}); take it out of the fleet's vLLM arguments"
        for option in options
        for ours in OURS
        if len(option) > 2 and ours.startswith(option)
    ]


def variable_problems(variables: tuple[tuple[str, str], ...]) -> list[str]:
    """Return a sentence for each environment variable of vLLM that cannot be set; values are not repeated."""
    problems = [f"{name} is set by gpu-fleet; take it out" for name, _ in variables if name in OUR_VARIABLES]
    problems += [f"{name!r} is no name of an environment variable" for name, _ in variables if not VARIABLE.match(name)]
    problems += [
        f"{name} is below {LEAST_KEEP_ALIVE} s, so that the gate would meet closed connections; raise it or take it out"
        for name, value in variables
        if name == KEEP_ALIVE and not (value.isascii() and value.isdigit() and int(value) >= LEAST_KEEP_ALIVE)
    ]
    return problems + [f"{name} has a zero byte in its value" for name, value in variables if "\0" in value]
