"""What every kind of file needs, whatever is in it.

`atomic` writes a file whole or not at all; everything that saves goes through it. `tables` reads
text and tables of any encoding and delimiter, and is the one place that writes tables; `names`
finds and orders files by names that were composed, cased, rooted or ended in another way.
`digests` name pixels and weights. `folders` says where the program keeps files of its own, lists,
measures and clears them, and reads and writes what a person set: keys, the variant of Algorithm 1,
where each kind of file dialog was last. What is not written yet waits in a `safety_net`: strokes
for their copy, reviews for their project, answers for their survey. There are the recovery copies,
too, which survive a crash: masks as they are painted, and reviews that a project refused.

A new setting begins in `folders`.
"""
