"""The stages of the funnel, one file each, in the order of ``funnel.STAGES``.

A stage is a function of the work in hand and of the names of the candidates that came to it. It computes what
these still lack, puts that into the database as it comes, and returns who goes, and why. What it computes is
a list of independent tasks, functions of a candidate and the settings alone.
"""
