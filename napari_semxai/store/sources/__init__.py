"""Where the images of a project or data set come from.

`find_images` decides what a path is: a folder, a table (`image_tables`) or a KLARF file
(`klarf`, whose two grammars are in `klarf_grammar`), and finds its pictures.
All of them answer with an `ImageSource`, which `image_tables` defines; for training `find_images`
takes those of known class.

A new source answers with an `ImageSource` and gets a line in `find_images`.
"""
