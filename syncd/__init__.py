"""Keep a folder of JSON files and an AT Protocol repo identical, both ways, losing no version."""

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
"""httpx brings its own command line, and rich and pygments with it, unless there is none: half of
what `syncd sync` would import.
"""
__version__ = "0.2.0"
