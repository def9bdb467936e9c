"""The networks in a process of their own: `client` is what the rooms above see of it."""
