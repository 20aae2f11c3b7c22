"""scikit-learn's search interface."""
