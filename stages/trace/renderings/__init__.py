"""A trace in other forms: for people, and in other training formats than CWM's."""
