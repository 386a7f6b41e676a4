"""What the apps show: the state of a view and how it looks; testable without a browser."""
