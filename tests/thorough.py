"""How many examples a property gets that the safety of files rests on: more where nobody waits."""

from __future__ import annotations

import os

from hypothesis import settings

EXAMPLES = 1000 if os.environ.get("CI") else 100
THOROUGH = settings(max_examples=EXAMPLES, deadline=None)
