"""Known crystals generated again."""
