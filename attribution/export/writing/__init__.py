"""What the formats write: captions, the JSON schema, a request as code."""
