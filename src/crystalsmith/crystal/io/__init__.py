"""Reading and writing crystals, one door for every kind of file."""
