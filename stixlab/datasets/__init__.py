"""From packets to level 0 datasets: one module for each family of packets, each with its declarations."""
