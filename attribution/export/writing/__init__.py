"""Text shared by the formats: captions, the JSON schema, and requests as code."""
