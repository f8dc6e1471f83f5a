"""An invented past of a fleet, for demos and benchmarks: when things broke, what came of it, and the rows that tell so.

Pure: everything follows from a seed and the time at which the past ends.
"""
