"""What the trials so far say: the history that prompts and surrogates are made from, and the user's hints."""
