"""How models write: what their generation settings ask for, and the tokens that they generate."""
