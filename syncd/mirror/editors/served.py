"""Keep the schemas of a mirror new after a sync, if editors are served. Never serves a new one.

Imports what makes schemas only where some are installed: a sync elsewhere pays one look.
"""

from __future__ import annotations

from syncd.cycle.workspace import Workspace

_SCHEMAS = "schemas"


def keep_served(workspace: Workspace) -> None:
    """Make the schemas again if lexicons or collections have changed; never fail."""
    if not (workspace.own / _SCHEMAS).exists():
        return
    from syncd.mirror.editors.install import refresh  # noqa: PLC0415
    from syncd.mirror.lexicons.updating import Mirrored  # noqa: PLC0415

    refresh(Mirrored(workspace.root, workspace.folder.portable, workspace.folder.forms))
