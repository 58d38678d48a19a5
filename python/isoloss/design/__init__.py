"""Which runs to add: candidates, what is to be known better, the choice, and a simulation of it."""
