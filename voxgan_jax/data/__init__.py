"""Reading, placing, breaking and feeding pots."""
