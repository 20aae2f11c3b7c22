"""Tune hyper-parameters with a large language model and a Bayesian sampler together."""

__version__ = "0.1.0"
