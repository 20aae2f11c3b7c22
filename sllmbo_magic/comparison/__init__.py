"""Comparisons of samplers and of variants of the method over seeds."""
