"""The Survey dock.

`dock` opens and exports answers and says what a survey comes to; `items` shows the scale one
item at a time or all at once. The statements themselves are in `types.survey`.
"""
