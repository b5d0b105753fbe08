"""The protocol: bytes and values in, bytes and values out."""

from hypothesis import settings

# A busy machine pauses for longer than Hypothesis's deadline, which would fail a correct example.
settings.register_profile("syncd", deadline=None)
settings.load_profile("syncd")
