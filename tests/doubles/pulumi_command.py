"""A `pulumi` for PATH that answers by the first words of a command, so that a command's own call of it is tested too."""

import json
import shlex
from pathlib import Path

Answer = tuple[int, str, str]  # exit status, stdout, stderr


def path_with_pulumi(folder: Path, answers: dict[str, Answer]) -> str:
    """Write the command into a folder of its own, and return a PATH that begins with it.

    `answers` by the beginning of the words after `pulumi` and `--non-interactive`; the first that fits is given.
    """
    folder.mkdir()
    cases = []
    for number, (words, (status, out, err)) in enumerate(answers.items()):
        (folder / f"{number}.out").write_text(out)
        (folder / f"{number}.err").write_text(err)
        answer = f"cat {shlex.quote(str(folder))}/{number}"
        cases.append(f"{shlex.quote(words)}*) {answer}.out; {answer}.err >&2; exit {status};;")
    lines = [
        "#!/bin/sh",
        '[ "$1" = --non-interactive ] && shift',
        'case "$*" in',
        *cases,
        "esac",
        'echo "error: unexpected: $*" >&2; exit 9',
        "",
    ]
    (folder / "pulumi").write_text("\n".join(lines))
    (folder / "pulumi").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def exported(**deployment: object) -> Answer:
    """Answer as `pulumi stack export` does."""
    return 0, json.dumps({"deployment": deployment}), ""
