"""Expert priors: search spaces and first configurations for well-known estimators, each range with its
source.

:func:`prior_for` gives the :class:`Prior` of an estimator, also inside a pipeline or a wrapper, shaped by
what is known of the task. :func:`inert` says which parameters have no effect, :func:`accepts` whether
an estimator declares that it takes a value. One module per group of
estimators holds tables; ``families.py`` finds where they belong, ``registry.py`` applies them,
``docs/_priors.py`` writes them down for people.
"""

from __future__ import annotations

from sllmbo_magic.priors.accepted_values import accepts
from sllmbo_magic.priors.base import Facts
from sllmbo_magic.priors.base import Family
from sllmbo_magic.priors.families import FAMILIES
from sllmbo_magic.priors.parameter_names import check_params
from sllmbo_magic.priors.registry import Prior
from sllmbo_magic.priors.registry import inert
from sllmbo_magic.priors.registry import prior_for
from sllmbo_magic.priors.registry import real_values

__all__ = [
    "FAMILIES",
    "Facts",
    "Family",
    "Prior",
    "accepts",
    "check_params",
    "inert",
    "prior_for",
    "real_values",
]
