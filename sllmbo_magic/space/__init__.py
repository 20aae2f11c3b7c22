"""What may be searched: the search space, its parts, its versions and how it is stored."""
