"""Runs on disk: folders, locks, Optuna storages, and the migration of a study whose space grew."""
