"""Simulated cohorts: people of all ages, on several scanners, whose lobules are known.

Who they are (`people`, `table1`), what age does to them (`lifecourse`), an anatomy that follows (`anatomy`, `change`),
where it comes from (`template_source`, `maps_source`), how it is scanned (`scanners`) and written (`cohort`). Nothing
here shares code with the registrations of augmentation.
"""
