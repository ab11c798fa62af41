"""How what is shipped was made: trainings, and weights with their cards."""
