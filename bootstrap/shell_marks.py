"""Wrap a command in marks and give it the image's paths, pure, because a host's shell prints text of its own.

An SSH session starts the user's shell, which reads start-up files of the image and of the landlord. They greet, warn, and
set a PATH of their own. The container's own PATH and LD_LIBRARY_PATH are those of its first process.
"""

import re
import shlex

SHELL = "/bin/sh"
# The session's own PATH comes last: it may know a folder that the image does not name.
PATHS = """\
for name in PATH LD_LIBRARY_PATH; do
  value=$(tr '\\0' '\\n' 2>/dev/null </proc/1/environ | sed -n "s/^$name=//p" | head -n 1)
  if [ -z "$value" ]; then continue; fi
  if [ $name = PATH ]; then PATH=$value:$PATH; else export LD_LIBRARY_PATH="$value"; fi
done
export PATH; unset name value"""


def marked(command: str, mark: str) -> str:
    """Return a command for any shell: it runs `command` in sh, with the image's paths and the mark around both outputs.

    The exit status is the command's own. `mark` is a word that no output holds by chance.
    """
    script = f"""\
printf '\\n%s<' {mark}; printf '\\n%s<' {mark} >&2
{PATHS}
(
{command}
)
status=$?
printf '>%s\\n' {mark}; printf '>%s\\n' {mark} >&2
exit $status"""
    return f"exec {SHELL} -c {shlex.quote(script)}"


def began(text: str, mark: str) -> bool:
    """Return whether an output shows that the command was started."""
    return f"{mark}<" in text


def within(text: str, mark: str) -> str:
    """Return the text between the marks: up to the end without the second mark, the whole text without the first."""
    found = re.search(rf"{mark}<(.*?)(?:>{mark}|\Z)", text, flags=re.DOTALL)
    return found[1] if found else text
