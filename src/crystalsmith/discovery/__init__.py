"""From a chemical system to a short list: generate, filter, relax, compare with the hull, and report."""
