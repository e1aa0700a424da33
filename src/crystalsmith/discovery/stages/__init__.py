"""The stages of the funnel, one file each, in the order of ``funnel.STAGES``.

A stage has two parts. One computes what candidates still lack, for all runs that go through it together, and
puts that into the database as it comes: a list of independent tasks, functions of a candidate and the
settings alone. The other is a function of one run and of the names of the candidates that came to it, and
returns who goes, and why.
"""
