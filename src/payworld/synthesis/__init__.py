"""Pure synthesis: arrays in, arrays out; no IO, no clock, no order of calls."""
