"""python -m payworld: the same as gen."""

from payworld.cli.entry import main

main()
