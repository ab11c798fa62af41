"""Pictures of a model: a page of small multiples (PNG, SVG) and one HTML file that works offline."""
