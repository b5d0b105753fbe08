"""arroba, the PDS without guards: a library that serves repos of the network, pinned and run."""
