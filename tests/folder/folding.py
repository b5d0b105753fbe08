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
from pathlib import Path
from typing import Any

import pytest

from syncd.folder import linux

_RAW = {name: getattr(os, name) for name in ("open", "stat", "mkdir", "rename", "link", "unlink")}
_RAW_RENAME_NEW, _RAW_EXCHANGE = linux.rename_new, linux.exchange


class Folding:
    """What becomes of names below `root`."""

    def __init__(self, root: Path, *, folds: bool, refused: str, name_bytes: int) -> None:
        self.root = os.path.realpath(root)
        self.folds = folds
        self.refused = refused
        self.name_bytes = name_bytes

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
        if len(part.encode()) > self.name_bytes:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), part)
        if set(part) & set(self.refused):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), part)
        try:
            names = os.listdir(directory)  # noqa: PTH208 (pathlib would come back here)
        except OSError:
            return part
        if part in names or not self.folds:
            return part
        return next((name for name in names if name.casefold() == part.casefold()), part)

    def one(self, name: str) -> Callable[..., Any]:
        raw = _RAW[name]

        def call(path: Any, *args: Any, dir_fd: int | None = None, **more: Any) -> Any:  # noqa: ANN401
            return raw(self.resolved(path, dir_fd), *args, dir_fd=dir_fd, **more)

        return call

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
def folding(
    root: Path, *, folds: bool = True, refused: str = "", name_bytes: int = 255
) -> Iterator[None]:
    """Everything below `root` lies on such a file system, for the length of a `with`."""
    layer = Folding(root, folds=folds, refused=refused, name_bytes=name_bytes)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "stat", "mkdir", "unlink"):
            patch.setattr(os, name, layer.one(name))
        for name in ("rename", "link"):
            patch.setattr(os, name, layer.two(name))
        patch.setattr(linux, "rename_new", layer.pair(_RAW_RENAME_NEW))
        patch.setattr(linux, "exchange", layer.pair(_RAW_EXCHANGE))
        yield
