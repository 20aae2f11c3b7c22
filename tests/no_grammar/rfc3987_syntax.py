"""Stands before the package of this name on the path of the tests' processes: there it is not installed.

JupyterLab brings a grammar of international addresses, which jsonschema makes when it is imported: seconds in
each kernel, server and notebook that is converted. No schema of theirs or ours has such an address.
"""

raise ImportError("left out in the tests")
