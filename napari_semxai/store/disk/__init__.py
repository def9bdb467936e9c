"""What every kind of file needs, whatever is in it.

`atomic` writes a file whole or not at all; everything that saves goes through it. `tables` reads
text and tables of any encoding and delimiter, and is the one place that writes tables; `names`
finds and orders files by names that were composed, cased, rooted or ended in another way.
`digests` name pixels and weights. `folders` says where the program keeps files of its own, lists,
measures and clears them. `recovery_copies` are the copies of unsaved masks that survive a crash.
`preferences` are what a person set: keys, the variant of Algorithm 1, and where each kind of file
dialog was last.

A new setting begins in `preferences`.
"""
