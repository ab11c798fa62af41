"""Images whose truth is known: the phantom, scenes made from maps, and cohorts of all ages."""
