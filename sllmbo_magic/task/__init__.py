"""What is tuned: estimator or objective, data, metric, folds; and all of it that an LLM may see."""
