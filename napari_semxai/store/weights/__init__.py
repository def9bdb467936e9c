"""Weights of the official networks.

`models` knows which exist, where they lie and their digests; `downloads` fetches one when a
person asks for it, and only then. A new official checkpoint is an entry in `models`.
"""
