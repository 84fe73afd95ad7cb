"""What a surface, an audience and an item may say. Pure functions: content in, the same content made whole or errors out."""
