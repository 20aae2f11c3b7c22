"""Small helpers without a concept of their own: files written in one piece, limits on threads."""
