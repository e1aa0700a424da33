"""How stable is a crystal against the phases that it could fall into: reference energies and convex hulls."""
