"""One module for each kind of LLM provider."""
