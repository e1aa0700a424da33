"""What is measured, as pure functions of arrays, one concept a file."""
