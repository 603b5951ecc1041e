"""Where models come from: catalogue, Hub, folders, endpoints; and where they are placed."""
