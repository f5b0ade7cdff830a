"""An agent that has no network: ``python -m harness.bench.netless``.

Goes into a network namespace of its own, in which there is the loopback and nothing
else, and becomes the agent. Ends with status 77, and the reason on standard error,
where the kernel does not allow it.
"""

import runpy
import sys

from harness.bench.namespaces import NOT_PERMITTED, enter_new_network


def main() -> None:
    """Isolate, and become the agent."""
    try:
        enter_new_network()
    except OSError as error:
        print(f"no network namespace: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_PERMITTED)
    runpy.run_module("harness.agent", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
