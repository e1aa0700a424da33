"""What all long commands stand on: whole files, locks, journals and processes."""
