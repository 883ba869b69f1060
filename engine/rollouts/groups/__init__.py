"""What makes related tasks a group."""
