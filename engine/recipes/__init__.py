"""How shipped weights were made: each recipe is a program that anyone can run again."""
