"""The settings of one mirror: read syncd.toml once into a frozen Config. Never asks the network."""

from syncd.config.file import FILE_NAME, load_config, parse_config, render_config
from syncd.config.mirrors import read_list
from syncd.config.settings import SETTINGS, Setting
from syncd.config.values import (
    DEFAULT_PLC,
    FETCH_ALL,
    FETCH_NONE,
    LEXICONS_OFF,
    LEXICONS_WARN,
    LOCATION_HOLD,
    LOCATION_KEEP,
    LOCATION_STRIP,
    PORTABLE,
    Config,
    check_pattern,
    forms_of_text,
)
from syncd.forms import lines_for

__all__ = [
    "DEFAULT_PLC",
    "FETCH_ALL",
    "FETCH_NONE",
    "FILE_NAME",
    "LEXICONS_OFF",
    "LEXICONS_WARN",
    "LOCATION_HOLD",
    "LOCATION_KEEP",
    "LOCATION_STRIP",
    "PORTABLE",
    "SETTINGS",
    "Config",
    "Setting",
    "check_pattern",
    "forms_of_text",
    "lines_for",
    "load_config",
    "parse_config",
    "read_list",
    "render_config",
]
