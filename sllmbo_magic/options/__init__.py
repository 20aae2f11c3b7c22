"""The one table of options.

The signature of ``tune``, the settings of a run, the arguments that ``SLLMBOSearchCV`` passes on, the parser
of ``%%sllmbo``, its help, tab completion and ``docs/options.md`` are all made from it or tested against it.
Standard library only: ``%load_ext`` reads it.
"""

from __future__ import annotations

from sllmbo_magic.options.comparison import COMPARE_OPTIONS
from sllmbo_magic.options.option import UNCHANGED
from sllmbo_magic.options.option import Option
from sllmbo_magic.options.signature import DEFAULT
from sllmbo_magic.options.signature import Default
from sllmbo_magic.options.signature import explicit
from sllmbo_magic.options.signature import preset_values
from sllmbo_magic.options.table import BY_ARGUMENT
from sllmbo_magic.options.table import BY_SPELLING
from sllmbo_magic.options.table import OPTIONS
from sllmbo_magic.options.table import PYTHON_OPTIONS

__all__ = [
    "BY_ARGUMENT",
    "BY_SPELLING",
    "COMPARE_OPTIONS",
    "DEFAULT",
    "OPTIONS",
    "PYTHON_OPTIONS",
    "UNCHANGED",
    "Default",
    "Option",
    "explicit",
    "preset_values",
]
