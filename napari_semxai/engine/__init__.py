"""The networks in a process of their own.

`client` is what the rooms above see of it: it starts and watches the child process. In the child,
`host` reads requests and runs them, `segment`, `explain` and `learn` are the three services, each
with the networks that it needs.
"""
