"""The networks' layers: U-net, DPN, and what both are made of."""
