"""Space: frames and grids, the template, registration, displacement fields and label fusion."""
