"""The public conformance vectors of atproto, run against syncd."""
