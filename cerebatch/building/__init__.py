"""Libraries made from lobule maps and head maps, or from the maps' own scans."""
