"""Programs that a hook may be: whatever one does, there is an answer, and nothing is left."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from syncd.children import OWN, SECRETS
from syncd.hooks.program import OUTPUT_BYTES, Ran, run_program

LONG = 3600.0


def python(script: str, directory: Path, given: bytes = b"", seconds: float = LONG) -> Ran:
    words = [sys.executable, "-c", script]
    return run_program(words, event="after_pull", directory=directory, given=given, seconds=seconds)


def test_it_gets_its_input_whole_in_its_directory_and_its_output_is_kept(tmp_path: Path) -> None:
    given = b"x" * 3_000_000
    script = "import os, sys; print(len(sys.stdin.read()), os.getcwd(), os.environ['SYNCD_HOOK'])"
    found = python(script, tmp_path, given)
    assert found == Ran("", f"3000000 {tmp_path} after_pull\n")


@pytest.mark.parametrize("given", [b"", b"x" * 3_000_000], ids=["nothing", "megabytes"])
def test_it_may_read_none_of_its_input_or_close_it(tmp_path: Path, given: bytes) -> None:
    assert python("pass", tmp_path, given) == Ran("", "")
    assert python("import os; os.close(0); print('on')", tmp_path, given) == Ran("", "on\n")


def test_no_word_is_read_by_a_shell(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME", "; rm -rf *", "`a`"]
    found = run_program(words, event="e", directory=tmp_path, given=b"", seconds=LONG)
    assert found.output == f"{words[3:]!r}\n"


def test_no_secret_is_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SECRETS, *OWN):
        monkeypatch.setenv(name, "a-secret")
    found = python(
        "import os; print([v for v in os.environ.values() if v == 'a-secret'])", tmp_path
    )
    assert found == Ran("", "[]\n")


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("import sys; sys.exit(1)", "it ended with exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "it was killed by signal 9"),
    ],
)
def test_how_it_failed_is_said(tmp_path: Path, script: str, failure: str) -> None:
    assert python(script, tmp_path).failure == failure


def test_one_that_cannot_be_started_is_an_answer_too(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program", encoding="utf-8")
    for word in (str(plain), str(tmp_path / "missing"), str(tmp_path)):
        found = run_program([word], event="e", directory=tmp_path, given=b"", seconds=LONG)
        assert found.failure.startswith("it cannot be started: ")


@pytest.mark.parametrize(
    ("text", "named"),
    [("#!/no/such/program\n", "#!"), ("#!/bin/sh\r\n", "#!"), ("echo", "#!/bin/sh")],
)
def test_a_script_that_cannot_be_started_has_a_wrong_first_line(
    tmp_path: Path, text: str, named: str
) -> None:
    script = tmp_path / "script"
    script.write_text(text, encoding="utf-8", newline="")
    script.chmod(0o755)
    for word in (str(script), "./script"):
        found = run_program([word], event="e", directory=tmp_path, given=b"", seconds=LONG)
        assert named in found.failure


def test_output_without_end_is_cut_and_does_not_hold_it_up(tmp_path: Path) -> None:
    found = python("import sys; sys.stdout.write('x' * 20_000_000); print('end')", tmp_path)
    assert (found.failure, found.is_cut, len(found.output)) == ("", True, OUTPUT_BYTES)


def test_one_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    found = python("import time; time.sleep(3600)", tmp_path, seconds=0.01)
    assert found.failure == "it did not end within 0.01 seconds"


def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "open('new', 'w').write(str(child.pid))\n"
        "os.rename('new', 'pid')\n"
        "time.sleep(3600)\n"
    )
    pid = tmp_path / "pid"
    words = [sys.executable, "-c", script]
    found = run_program(
        words, event="e", directory=tmp_path, given=b"", seconds=LONG, is_stopped=pid.exists
    )
    assert found.failure == "syncd ends"
    assert is_gone(int(pid.read_text(encoding="ascii")))


def test_what_it_leaves_behind_is_killed_and_holds_nothing_up(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "print(child.pid)\n"
    )
    found = python(script, tmp_path)
    assert found.failure == ""
    assert is_gone(int(found.output))


def test_it_may_close_its_output_and_go_on(tmp_path: Path) -> None:
    script = "import os, time; os.close(1); os.close(2); time.sleep(0.3); os._exit(7)"
    assert python(script, tmp_path) == Ran("it ended with exit code 7", "")


def test_it_is_killed_when_syncd_ends(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import time; time.sleep(3600)"]
    asked: list[bool] = []

    def is_stopped() -> bool:
        asked.append(True)
        return len(asked) > 3

    found = run_program(
        words, event="e", directory=tmp_path, given=b"", seconds=LONG, is_stopped=is_stopped
    )
    assert found.failure == "syncd ends"


def is_gone(pid: int) -> bool:
    """Whether a killed process ends; whoever inherits it may reap it a moment later."""
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state.split()[0] in ("Z", "X"):
            return True
        os.sched_yield()
        time.sleep(0.01)
