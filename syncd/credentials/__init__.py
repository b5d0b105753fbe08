"""Where one account's password and session are found and kept. Never shows one, never sends one."""

from syncd.credentials.store import Credentials, Keyring, find_keyring, given_password

__all__ = ["Credentials", "Keyring", "find_keyring", "given_password"]
