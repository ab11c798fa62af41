"""The store of an augmentation set: of the library's kind, with columns of its own."""
