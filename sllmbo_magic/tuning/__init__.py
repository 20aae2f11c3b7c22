"""A run from its arguments to its result: plan, loop, commands, resume, stopping, result."""
