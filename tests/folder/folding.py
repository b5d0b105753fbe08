"""A file system that folds case or refuses names, laid over a real directory for one process.

Every way in that syncd uses goes through it, and it is as strict as the real thing: a name is
looked up in whatever case, a file keeps the case that it was made with, also when another is
renamed over it, and a name that is taken in another case is taken.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from syncd.folder import linux

_RAW = {name: getattr(os, name) for name in ("open", "stat", "mkdir", "rename", "link", "unlink")}
_EXACT = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns", "st_atime", "st_mtime", "st_ctime")
_RAW_RENAME_NEW, _RAW_EXCHANGE = linux.rename_new, linux.exchange


@dataclass(frozen=True)
class How:
    """What a file system does with names.

    Attributes:
        refused: The characters that it refuses, with the errno `refusal`.
        name_bytes: The longest name.
        numbers_names: Each spelling of a name has an inode of its own, as with FUSE.
    """

    folds: bool = True
    refused: str = ""
    refusal: int = errno.EINVAL
    name_bytes: int = 255
    numbers_names: bool = False


FOLDING = How()
FOLDINGS = (FOLDING, How(numbers_names=True))


class Folding:
    """What becomes of names below `root`."""

    def __init__(self, root: Path, how: How) -> None:
        self.root = os.path.realpath(root)
        self.how = how

    def resolved(self, path: Any, directory: int | None) -> Any:  # noqa: ANN401
        """`path` as it is really called."""
        if isinstance(path, int | bytes):
            return path
        text = os.fspath(path)
        base = "/proc/self/cwd" if directory is None else f"/proc/self/fd/{directory}"
        base = str(Path(base).readlink())
        full = text if text.startswith("/") else f"{base}/{text}"
        if not (full + "/").startswith(self.root + "/"):
            return path
        real = self.root
        for part in full[len(self.root) :].split("/"):
            real = f"{real}/{self._found(real, part)}" if part not in ("", ".") else real
        return real if text.startswith("/") else os.path.relpath(real, base)

    def _found(self, directory: str, part: str) -> str:
        if len(part.encode()) > self.how.name_bytes:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), part)
        if set(part) & set(self.how.refused):
            raise OSError(self.how.refusal, os.strerror(self.how.refusal), part)
        try:
            names = os.listdir(directory)  # noqa: PTH208 (pathlib would come back here)
        except OSError:
            return part
        if part in names or not self.how.folds:
            return part
        return next((name for name in names if name.casefold() == part.casefold()), part)

    def one(self, name: str) -> Callable[..., Any]:
        raw = _RAW[name]

        def call(path: Any, *args: Any, dir_fd: int | None = None, **more: Any) -> Any:  # noqa: ANN401
            return raw(self.resolved(path, dir_fd), *args, dir_fd=dir_fd, **more)

        return call

    def stat(self, path: Any, *, dir_fd: int | None = None, **more: Any) -> os.stat_result:  # noqa: ANN401
        real = self.resolved(path, dir_fd)
        found: os.stat_result = _RAW["stat"](real, dir_fd=dir_fd, **more)
        is_as_asked = isinstance(path, int | bytes) or Path(real).name == Path(path).name
        if is_as_asked or not self.how.numbers_names:
            return found
        other = [found.st_mode, found.st_ino + crc32(os.fsencode(path)), *found[2:]]
        return os.stat_result(other, {name: getattr(found, name) for name in _EXACT})

    def two(self, name: str) -> Callable[..., Any]:
        raw = _RAW[name]

        def call(
            old: Any,  # noqa: ANN401
            new: Any,  # noqa: ANN401
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
            **more: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            source, target = self.resolved(old, src_dir_fd), self.resolved(new, dst_dir_fd)
            return raw(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **more)

        return call

    def pair(self, raw: Callable[[int, str, str], None]) -> Callable[[int, str, str], None]:
        def call(directory: int, one: str, other: str) -> None:
            raw(directory, self.resolved(one, directory), self.resolved(other, directory))

        return call


@contextmanager
def folding(root: Path, how: How = FOLDING) -> Iterator[None]:
    """Everything below `root` lies on such a file system, for the length of a `with`."""
    layer = Folding(root, how)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "mkdir", "unlink"):
            patch.setattr(os, name, layer.one(name))
        patch.setattr(os, "stat", layer.stat)
        for name in ("rename", "link"):
            patch.setattr(os, name, layer.two(name))
        patch.setattr(linux, "rename_new", layer.pair(_RAW_RENAME_NEW))
        patch.setattr(linux, "exchange", layer.pair(_RAW_EXCHANGE))
        yield
