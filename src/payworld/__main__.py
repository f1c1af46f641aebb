"""python -m payworld: the same as gen."""

from payworld.cli.app import main

main()
