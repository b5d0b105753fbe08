"""Run git without prompts, with a time limit, in a clean environment. Never retries.

No other module starts git. The person's configuration applies (name, signing, hooks); variables
that an outer git command has set do not. A failure becomes one sentence (GitFailed).
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import BinaryIO, TypeAlias

from syncd.children import without_secrets
from syncd.errors import GitFailed
from syncd.values import dataclass
from syncd.waiting import waiting_for

SECONDS = 120.0
"""The time limit of one git command, including its hooks and signing."""

_LOCAL = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE"),
    *("GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS"),
    *("GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_EXTERNAL_DIFF", "GIT_CONFIG"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
    *("GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_REFLOG_ACTION", "GIT_QUARANTINE_PATH"),
)
_QUIET = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_EDITOR": "true",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
}
_RUN_HOOKS = ("commit", "push")
"""Their output goes to files: a process that a hook leaves running would keep a pipe open."""
_End: TypeAlias = "int | BinaryIO"
_NO_IDENTITY = ("tell me who you are", "auto-detect email", "empty ident", "no email was given")
_UNKNOWN = ("unknown option", "unrecognized argument", "unknown subcommand", "is not a git command")
OLDEST = "2.30"
"""The oldest git with which the tests of syncd were run."""
_DUBIOUS = "dubious ownership"
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Git:
    """The git command at the top of one worktree.

    Attributes:
        top: The directory where git runs.
        index: An index to use instead of the worktree's own.
        inherited: Descriptors that stay open in git for as long as it runs.
    """

    top: Path
    index: Path | None = None
    inherited: tuple[int, ...] = ()
    _environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def run(
        self,
        *words: str,
        send: bytes = b"",
        may_fail: Sequence[int] = (),
        options: Sequence[str] = (),
    ) -> bytes:
        """Run `git WORDS` and return its output.

        Args:
            send: The standard input.
            may_fail: Exit codes besides 0 that are no error.
            options: Options of git itself, before the command.

        Raises:
            GitFailed: Another exit code, no git, or no end within SECONDS.
        """
        with _outputs(words[0]) as ends:
            with self._start(("git", *options, *words), ends) as process:
                said = self._communicate(process, words[0], send)
            out, errors = map(_whole, said, ends)
        if process.returncode not in (0, *may_fail):
            raise _failure(words[0], errors or out)
        return out

    def text(self, *words: str, may_fail: Sequence[int] = ()) -> str:
        """Run `git WORDS` as `run` does; return the output as stripped text."""
        return self.run(*words, may_fail=may_fail).decode("utf-8", "replace").strip()

    def _start(self, words: Sequence[str], ends: Sequence[_End]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603
                words,
                cwd=self.top,
                env=without_secrets(self._clean()),
                stdin=subprocess.PIPE,
                stdout=ends[0],
                stderr=ends[1],
                start_new_session=True,
                pass_fds=self.inherited,
            )
        except FileNotFoundError:
            raise GitFailed("git is not installed", hint=f"install git {OLDEST} or newer") from None
        except OSError as error:
            raise GitFailed(f"git cannot be started: {error.strerror}") from None

    def _communicate(
        self, process: subprocess.Popen[bytes], command: str, send: bytes
    ) -> tuple[bytes | None, bytes | None]:
        """Return (stdout, stderr), each None if it goes to a file. Kills git after SECONDS."""
        try:
            with waiting_for(f"git {command}"):
                return process.communicate(send, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            message = f"git {command} did not end within {SECONDS:g} seconds and was stopped"
            hint = f"run it yourself to see why: git -C {self.top} {command}"
            raise GitFailed(message, hint=hint) from None

    def _clean(self) -> dict[str, str]:
        kept = {name: value for name, value in self._environ.items() if name not in _LOCAL}
        return {**kept, **_QUIET, **({"GIT_INDEX_FILE": str(self.index)} if self.index else {})}


@contextmanager
def _outputs(command: str) -> Iterator[tuple[_End, _End]]:
    """Choose where stdout and stderr go: to pipes, or to files in memory."""
    if command not in _RUN_HOOKS:
        yield subprocess.PIPE, subprocess.PIPE
        return
    with _memory() as out, _memory() as errors:
        yield out, errors


def _memory() -> BinaryIO:
    return os.fdopen(os.memfd_create("git"), "w+b")


def _whole(piped: bytes | None, end: _End) -> bytes:
    """Return the whole output, from its pipe or its file."""
    if isinstance(end, int):
        return piped or b""
    end.seek(0)
    return end.read()


def _failure(command: str, output: bytes) -> GitFailed:
    text = output.decode("utf-8", "replace")
    if any(words in text.lower() for words in _NO_IDENTITY):
        hint = 'git config user.name "…" and git config user.email "…", in the folder'
        return GitFailed("git does not know your name and email, which a commit needs", hint=hint)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if _DUBIOUS in text:
        cure = next(
            (line for line in lines if "safe.directory" in line),
            "see: git help config, safe.directory",
        )
        reason = "git does not trust this repository, because it belongs to another user"
        return GitFailed(f"{reason} (dubious ownership)", hint=cure)
    hint = f"update git: syncd needs {OLDEST} or newer" if _is_old(text) else ""
    stated = next((line for line in lines if line.startswith(("fatal: ", "error: "))), "")
    reason = stated.partition(": ")[2] or (lines[-1] if lines else "git gave no reason")
    return GitFailed(f"git {command} failed: {reason[:_SHOWN].rstrip('.')}", hint=hint)


def _is_old(text: str) -> bool:
    """Return whether git refused a word that every supported git knows."""
    return any(words in text for words in _UNKNOWN)
