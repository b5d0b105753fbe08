"""Start syncd. `python -m syncd` is `syncd`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line. Until its error handling is ready, Ctrl-C ends the process silently."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Python would print a traceback of whatever is imported at that moment.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from syncd.cli import main as run  # noqa: PLC0415 (it takes most of the time of a start)

    run()


if __name__ == "__main__":
    main()
