"""An evaluation for people and programs: the table on the terminal, the page, JSON and CSV."""
