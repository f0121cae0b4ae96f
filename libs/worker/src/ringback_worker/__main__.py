"""`python -m ringback_worker module:function [--function]`: the tool's entry for tools.yaml."""

import importlib
import sys

from ringback_errors import ConfigError

from ringback_worker.declaring import tool_of
from ringback_worker.describing import entry_of, entry_text


def main(arguments: list[str]) -> int:
    """Print the entry; 2 if there is no such function."""
    named = [argument for argument in arguments if not argument.startswith("--")]
    try:
        if len(named) != 1:
            raise ValueError(f"one of them, got {len(named)}")
        module, _, name = named[0].partition(":")
        found = tool_of(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError, ValueError, ConfigError) as error:
        sys.stderr.write(f"module:function with @tool expected: {error}\n")
        return 2
    sys.stdout.write(entry_text(entry_of(found, entry_point=named[0] if "--function" in arguments else "")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
