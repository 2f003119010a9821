"""What docs/format.md says, a module for each part of it."""
