"""Images, projects and reviews.

`images` alone opens an image, of a file, a layer or the open project, and leaves the one before:
"Next" reads downward there. `review_writer` writes what an image is left with, and every review,
behind the window; `review` says what the annotator says of a mask, or of many at once. `projects`
opens or makes a project, which the session then holds; `queue` filters and steps. `batch_masks`
makes masks for the whole queue, `annotators` compares people, `thumbnails` makes small pictures,
`tools` exports and imports. `learning` learns from the reviews, and `rankings` works out orders of
the queue, each in an engine of its own. `certify` accepts masks by an audit.
"""
