#!/bin/sh
# Starts the process that runs the program's dynamic providers. Like Pulumi's own launcher this shell stays in between
# (no exec), so that what holds in the sandbox about a provider whose engine has gone holds everywhere.
# The engine starts it in the project's folder with Pulumi.yaml's options in PULUMI_RUNTIME_*.
python=${PULUMI_PYTHON_CMD:-python3}
if [ -n "${PULUMI_RUNTIME_VIRTUALENV:-}" ]; then
    case $PULUMI_RUNTIME_VIRTUALENV in
        /*) python=$PULUMI_RUNTIME_VIRTUALENV/bin/python ;;
        *) python=$PWD/$PULUMI_RUNTIME_VIRTUALENV/bin/python ;;
    esac
fi
if ! command -v "$python" >/dev/null; then
    echo "The virtual environment of Pulumi.yaml is not there ($python): make it with 'make up' or 'make test'." >&2
    exit 1
fi
# A process that no call has reached holds nothing, and ends with its engine (with_engine.py). Under Pulumi's own launcher
# the next command ends it (providers/orphans.py).
"$python" -u "${0%/*}/with_engine.py" -m pulumi.dynamic "$@"
