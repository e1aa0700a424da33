"""What crystals do with a composition: a learned prior over cells, space groups and Wyckoff assignments."""
