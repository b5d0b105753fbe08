"""The whole system under crashes, faults and people who type at the worst moment."""
