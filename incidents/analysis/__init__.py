"""From what a cluster shows to why it is sick: pure rules over facts that `services.evidence` has gathered.

`reading` turns raw objects into facts, `rules` hold the knowledge, one function per situation, `conclusion` weighs what
they say. A language model may word the result better (`narrative`); it rests on the same facts and never replaces them.
"""
