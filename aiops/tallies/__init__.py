"""How many rows a table has, and whether it changed: exact, without a scan, and without one writer waiting for another.

A trigger appends one line to `Change` for every statement that touches a registered table, in the writer's transaction. A task
folds the lines into `Tally`, `Hour` and `Stamp` now and then, in one statement. What is true at a moment is always the folded
part plus the lines, read in one statement, so folding changes nothing that a reader sees.

* `reading.stamp_of`: a text that differs after every committed change. Snapshots of one database follow each other, each commit
  adds the numbers of its lines, so the sum of all numbers grows with every commit and never comes back.
* `reading.count`: the rows with given values of the registered columns.
* `reading.hour_of_row`: in which hour the n-th newest row lies, so that no deep page walks over the rows before it.
"""
