"""Start syncd. `python -m syncd` is `syncd`."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line. Until its error handling is ready, Ctrl-C ends the process silently."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Python would print a traceback of whatever is imported at that moment.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    answer = prepared_answer()
    if answer is not None and _is_said(answer):
        # What was loaded holds nothing open, and to take it apart takes time.
        os._exit(0)
    from syncd.cli import main as run  # noqa: PLC0415 (it takes most of the time of a start)

    run()


def prepared_answer() -> str | None:
    """Return what a Tab or a request for help gets; None for what a command has to answer."""
    words = sys.argv[1:]
    if "_SYNCD_COMPLETE" in os.environ:
        from syncd.prepared.tab import answer_tab  # noqa: PLC0415 (a command has no use for it)

        return answer_tab(os.environ)
    if words[:1] == ["help"] or words[-1:] in (["--help"], ["-h"]):
        from syncd.prepared.help import answer_help  # noqa: PLC0415

        return answer_help(words, os.environ)
    return None


def _is_said(text: str) -> bool:
    """Print `text`; False where stdout takes none, which the command line says in a sentence."""
    try:
        # Past the buffer, in which a text that was refused would stay.
        left = text.encode(sys.stdout.encoding, "backslashreplace")
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]
    except (AttributeError, OSError):  # a closed stdout is None
        return False
    return True


if __name__ == "__main__":
    main()
