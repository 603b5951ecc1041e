"""The interface: pages, pictures and the API. No mathematics here."""
