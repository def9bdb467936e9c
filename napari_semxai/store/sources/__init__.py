"""Where the images of a project or data set come from.

`find_images` decides what a path is: a folder, a table (`image_tables`) or a KLARF file
(`klarf`, whose two grammars are in `klarf_grammar`), and finds its pictures.
All of them answer with an `ImageSource`, which `image_tables` defines. `labelled_images` reads
folders and tables for training.

A new source answers with an `ImageSource` and gets a line in `find_images`.
"""
