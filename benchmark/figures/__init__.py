"""The figures of the paper, 4 to 9, drawn from kept predictions.

One function a figure, one style (`style`), and beside each picture a CSV file with every number
that it shows. matplotlib is imported when a figure is drawn, and its state is left as it was.
"""
